"""`evalops db`: the eval store's schema, and the embedded server behind it."""

import typer

app = typer.Typer(help="The database: its schema, and the embedded server.", no_args_is_help=True)


@app.command()
def upgrade() -> None:
    """Bring the schema up to this version of EvalOps; safe to run at any time, and by several processes at once."""
    from evalops_core.settings import load_settings
    from evalops_core.wiring import store_revision, upgrade_store, while_needed

    settings = load_settings()
    with while_needed(settings):
        for revision in upgrade_store(settings):
            typer.echo(f"applied {revision}")
        typer.echo(f"the database is at {store_revision(settings)[0]}")


@app.command()
def current() -> None:
    """Print the schema's revision and the one that this version of EvalOps needs."""
    from evalops_core.settings import load_settings
    from evalops_core.wiring import store_revision, while_needed

    settings = load_settings()
    with while_needed(settings):
        revision, needed = store_revision(settings)
    typer.echo(f"{revision or 'empty'} (this version needs {needed})")


@app.command()
def url() -> None:
    """Print the eval store's URL, password included, for psql and dashboards; the embedded server stays up."""
    from evalops_core.settings import load_settings
    from evalops_core.wiring import store_url

    typer.echo(store_url(load_settings()).get_secret_value())


@app.command()
def stop() -> None:
    """Stop the embedded server; `evalops dev` does so itself when it ends."""
    from evalops_core.settings import load_settings
    from evalops_core.wiring import embedded_server

    typer.echo("stopped" if embedded_server(load_settings()).stop() else "it was not running")
