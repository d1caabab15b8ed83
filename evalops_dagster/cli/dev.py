"""`evalops dev`: the whole of EvalOps on this machine, until Ctrl-C."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(dev)


def dev(
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port of the UI; 0 for any free one.")] = None,
) -> None:
    """Start database, models, web server and daemon; print the UI's address; end all of it on Ctrl-C.

    The database is embedded unless EVALOPS_DATABASE_URL names one; the embedded models are started if a suite needs
    them. Everything is kept in EVALOPS_HOME and is there again next time.
    """
    from evalops_core.settings import load_settings
    from evalops_dagster.cli.stack import running_stack
    from evalops_dagster.cli.waiting import say, until_interrupted

    with until_interrupted(), running_stack(load_settings(), port, say) as stack:
        say(f"\nEvalOps is running: {stack.url}\nCtrl-C ends all of it.")
        stack.dagster.wait()
