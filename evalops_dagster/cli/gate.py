"""`evalops gate`: who holds the gate that lets one eval run at a time through.

What belongs here: printing it. What does not: the gate (store), the queue in front of it (Dagster's pool).
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from evalops_core.settings import Settings

app = typer.Typer(help="The gate that lets one eval run at a time through.", no_args_is_help=True)


@app.callback()
def gate() -> None:
    """The gate that lets one eval run at a time through, whichever process, host or deployment it belongs to."""


@app.command()
def status(*, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Print whether the gate is free, or which run holds it, since when, and on which host; with
    EVALOPS_GATE_SCOPE=feature each run that holds a part of it, and for which features.

    Nothing needs to be done about a gate that is held: it is free again when the run's process ends, however it ends.

    Example: evalops gate status --json
    """
    import json

    from evalops_core.settings import load_settings
    from evalops_core.wiring import drift_gate, open_workshop, while_needed

    settings = load_settings()
    by_feature = settings.gate_scope == "feature"
    with while_needed(settings), open_workshop(settings) as workshop:
        gate = workshop.gate_of(_features(settings) if by_feature else ())
        parts = {holder.pid: holder.parts for holder in gate.holders()}
        holders = workshop.gate().holders()  # of all, also of parts that this machine has no suite for
        busy = {holder.run for one in (workshop.gate(), drift_gate(workshop)) for holder in one.holders()}
        waiting = gate.runs_present() - busy
    if as_json:
        held = [
            {
                "run": holder.run,
                "host": holder.host,
                "since": holder.since and holder.since.isoformat(),
                "pid": holder.pid,
                **({"features": parts.get(holder.pid) or None} if by_feature else {}),
            }
            for holder in holders
        ]
        found = {"held": held[0] if held else None} if not by_feature else {"scope": "feature", "held": held}
        typer.echo(json.dumps({**found, "waiting": sorted(run for run in waiting if run)}, indent=2))
        return
    if not holders:
        typer.echo("the gate is free")
    for holder in holders:
        own = parts.get(holder.pid, ())
        what = f"the gate of {', '.join(own)}" if own else "the gate"
        typer.echo(f"{what} is held by {holder}")
    for run in sorted(run for run in waiting if run):
        typer.echo(f"run {run} waits for it")


def _features(settings: "Settings") -> Collection[str]:
    """Of this machine's suites, to name parts of the gate by; it need not have any."""
    from evalops_core.errors import ConfigError
    from evalops_core.suites.loader import find_suites

    try:
        return find_suites(settings.suites)
    except ConfigError:
        return ()
