"""`evalops dev`: the whole of EvalOps on this machine, until Ctrl-C.

What belongs here: the command. What does not: the parts and their order (stack).
"""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command(short_help="Start everything, with the UI, until Ctrl-C.")(dev)


def dev(
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, metavar="PORT", help="Port of the UI, 3000 or the next free one; 0 for any."),
    ] = None,
) -> None:
    """Start everything on this machine and print the UI's address; Ctrl-C ends it.

    Database, embedded models, Dagster's web server and daemon. The database is embedded unless EVALOPS_DATABASE_URL
    names one; the embedded models are started if a suite needs them. Everything is kept in EVALOPS_HOME and is there
    again next time.

    \b
      evalops dev
      evalops dev --port 8080
      EVALOPS_SUITES=./suites evalops dev
    """
    from evalops_core.settings import load_settings
    from evalops_dagster.cli.stack import running_stack
    from evalops_dagster.cli.waiting import sayer, until_interrupted

    settings = load_settings()
    say = sayer(settings.log_format)
    with until_interrupted(say), running_stack(settings, port, say) as stack:
        say(f"\nEvalOps is running: {stack.url}\nCtrl-C ends all of it.")
        stack.dagster.stay()
