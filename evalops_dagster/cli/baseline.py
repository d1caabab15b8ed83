"""`evalops baseline`: the run that a feature's runs are compared with, where people choose it.

What belongs here: the commands, their options and what they print. What does not: what may be pinned
(run.baseline_desk), comparing (compare).
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from evalops_core.wiring import Workshop

app = typer.Typer(help="Baselines: pin the run that a feature is compared with. Without a command: list.")

_LARGEST_ID = 2**63 - 1
Json = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.callback(invoke_without_command=True)
def baseline(context: typer.Context) -> None:
    """The runs that people have chosen to compare with; other features have the valid scheduled runs before."""
    if context.invoked_subcommand is None:
        list_()


@app.command(short_help="Compare a feature's runs with this one.")
def pin(
    run: Annotated[int, typer.Argument(metavar="RUN", min=1, max=_LARGEST_ID, help="The id of a valid eval run.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why it is the one to compare with; it is kept.")],
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="Who does it; your login name without it.")
    ] = None,
) -> None:
    """Pin a run as its feature's baseline, in the place of the one that was pinned before.

    A run by hand may be pinned too; it has to be completed and to have a score.

    \b
      evalops baseline pin 12 --reason "release 2.1, which we shipped"
    """
    from evalops_core.errors import ConfigError
    from evalops_core.run.baseline_desk import pin_baseline
    from evalops_dagster.cli.person import person
    from evalops_dagster.cli.sheet import shown

    why = reason.strip()
    if not why:
        raise ConfigError("expected a few words that say why this run is the one to compare with", key="--reason")
    who = person(by)
    with _workshop() as workshop:
        pinned, before = pin_baseline(workshop.engine, run, why, who, workshop.tools.now())
    instead = f", in the place of run {before}" if before not in (None, run) else ""
    typer.echo(
        f"run {run} ({pinned.run.score}, window {pinned.run.partition_key}) is the baseline of "
        f"{shown(pinned.feature)}{instead}, pinned by {shown(who)}"
    )


@app.command(short_help="Compare a feature with the runs before it again.")
def unpin(feature: Annotated[str, typer.Argument(metavar="FEATURE", help="The feature's name.")]) -> None:
    """Take a pin back: the feature's runs are compared with the valid scheduled runs before them again.

    \b
      evalops baseline unpin explain
    """
    from evalops_core.run.baseline_desk import unpin_baseline
    from evalops_dagster.cli.sheet import shown

    with _workshop() as workshop:
        before = unpin_baseline(workshop.engine, feature, workshop.tools.now())
    typer.echo(f"run {before} is no longer pinned; {shown(feature)} is compared with the scheduled runs before")


@app.command("list", short_help="List the pinned baselines.")
def list_(as_json: Json = False) -> None:
    """List the baselines that are pinned: which run, by whom, and why.

    \b
      evalops baseline list
      evalops baseline list --json
    """
    from evalops_core.run.baseline_desk import list_baselines
    from evalops_dagster.cli.moments import spelt
    from evalops_dagster.cli.sheet import print_json, print_table

    with _workshop() as workshop:
        pins = list_baselines(workshop.engine)
    if as_json:
        rows = [
            {
                "feature": pin.feature,
                "run": pin.run.id,
                "run_type": pin.run.run_type,
                "window": pin.run.partition_key,
                "score": pin.run.score,
                "model": pin.run.model_id,
                "git_sha": pin.run.git_sha,
                "reason": pin.reason,
                "pinned_by": pin.pinned_by,
                "pinned_at": pin.pinned_at,
            }
            for pin in pins
        ]
        print_json(rows)
    elif pins:
        headings = {"feature": True, "run": False, "window (UTC)": False, "score": False, "since (UTC)": False}
        print_table(
            {**headings, "by": True, "why": True},
            [
                (
                    pin.feature,
                    str(pin.run.id),
                    pin.run.partition_key,
                    str(pin.run.score),
                    spelt(pin.pinned_at).removesuffix(" UTC"),
                    pin.pinned_by or "–",
                    pin.reason,
                )
                for pin in pins
            ],
        )
    else:
        typer.echo("No baseline is pinned; each feature is compared with the valid scheduled runs before.")


@contextmanager
def _workshop() -> "Generator[Workshop, None, None]":
    from evalops_core.settings import load_settings
    from evalops_core.wiring import open_workshop, while_needed

    settings = load_settings()
    with while_needed(settings), open_workshop(settings) as workshop:
        yield workshop
