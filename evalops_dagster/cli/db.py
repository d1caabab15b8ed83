"""`evalops db`: the eval store's schema, and the embedded server behind it.

What belongs here: printing what wiring does. What does not: migrations (store), the server (postgres).
"""

import typer

app = typer.Typer(help="The database: its schema, and the embedded server.", no_args_is_help=True)


@app.command(short_help="Bring the schema up to this version of EvalOps.")
def upgrade() -> None:
    """Bring the schema up to this version of EvalOps.

    Safe to run at any time, and by several processes at once. The embedded database is upgraded by whatever uses it;
    one of your own, by this command and by `evalops dev`.

    \b
      EVALOPS_DATABASE_URL=postgresql://me@host/evalops evalops db upgrade
    """
    from evalops_core.settings import load_settings
    from evalops_core.wiring import store_revision, upgrade_store, while_needed

    settings = load_settings()
    with while_needed(settings):
        for revision in upgrade_store(settings):
            typer.echo(f"applied {revision}")
        typer.echo(f"the database is at {store_revision(settings)[0]}")


@app.command(short_help="Print the schema's revision, and the one that is needed.")
def current() -> None:
    """Print the schema's revision, and the one that this version of EvalOps needs.

    \b
      evalops db current
    """
    from evalops_core.settings import load_settings
    from evalops_core.wiring import store_revision, while_needed

    settings = load_settings()
    with while_needed(settings):
        revision, needed = store_revision(settings)
    typer.echo(f"{revision or 'empty'} (this version needs {needed})")


@app.command(short_help="Say whether the database can be used, or what to do.")
def check() -> None:
    """Say whether EvalOps can use the database: it answers, its schema is this version's, and its gate excludes.

    Exit code 1 with a sentence that says what to do otherwise; nothing is changed. `evalops doctor` looks at more.

    \b
      evalops db check && evalops run
    """
    from evalops_core.settings import load_settings
    from evalops_core.wiring import check_store, while_needed

    settings = load_settings()
    with while_needed(settings):
        revision = check_store(settings)
    typer.echo(f"the database is at {revision}, as this version needs, and the gate's lock works")


@app.command(short_help="Print the store's URL, password included, for psql.")
def url() -> None:
    """Print the eval store's URL, password included, for psql and dashboards; the embedded server stays up.

    \b
      psql "$(evalops db url)"
    """
    from evalops_core.settings import load_settings
    from evalops_core.wiring import store_url

    typer.echo(store_url(load_settings()).get_secret_value())


@app.command(short_help="Stop the embedded server.")
def stop() -> None:
    """Stop the embedded server; `evalops dev` does so itself when it ends.

    \b
      evalops db stop
    """
    from evalops_core.settings import load_settings
    from evalops_core.wiring import embedded_server

    typer.echo("stopped" if embedded_server(load_settings()).stop() else "it was not running")
