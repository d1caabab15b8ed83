"""`evalops gate`: who holds the gate that lets one eval run at a time through.

What belongs here: printing it. What does not: the gate (store), the queue in front of it (Dagster's pool).
"""

from typing import Annotated

import typer

app = typer.Typer(help="The gate that lets one eval run at a time through.", no_args_is_help=True)


@app.callback()
def gate() -> None:
    """The gate that lets one eval run at a time through, whichever process, host or deployment it belongs to."""


@app.command()
def status(*, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Print whether the gate is free, or which run holds it, since when, and on which host.

    Nothing needs to be done about a gate that is held: it is free again when the run's process ends, however it ends.

    Example: evalops gate status --json
    """
    import json

    from evalops_core.settings import load_settings
    from evalops_core.wiring import open_workshop, while_needed

    settings = load_settings()
    with while_needed(settings), open_workshop(settings) as workshop:
        holder = workshop.gate().holder()
        waiting = workshop.gate().runs_present() - ({holder.run} if holder else set())
    if as_json:
        held = holder and {
            "run": holder.run,
            "host": holder.host,
            "since": holder.since and holder.since.isoformat(),
            "pid": holder.pid,
        }
        typer.echo(json.dumps({"held": held, "waiting": sorted(run for run in waiting if run)}, indent=2))
        return
    typer.echo("the gate is free" if holder is None else f"the gate is held by {holder}")
    for run in sorted(run for run in waiting if run):
        typer.echo(f"run {run} waits for it")
