"""`evalops features`: the features that are evaluated or were, and a new name for a history.

What belongs here: the commands, their options and what they print. What does not: what may be renamed
(run.feature_desk), writing and checking suites (suites).
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from evalops_core.run.feature_desk import ListedFeature, Renaming
    from evalops_core.wiring import Suites, Workshop

app = typer.Typer(help="Features: list those with a suite or a history, rename one.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.callback()
def features() -> None:
    """The features that have a suite or a history, and a new name for a history whose suite was renamed."""


@app.command("list", short_help="List every feature with a suite or a history.")
def list_(as_json: Json = False) -> None:
    """List every feature that has a suite or a history: its valid scheduled runs, the newest one's window and score.

    A feature whose suite was removed keeps its history.

    \b
      evalops features list
      evalops features list --json
    """
    from evalops_core.run.feature_desk import list_features
    from evalops_dagster.cli.sheet import print_json, print_table, shown

    with _workshop() as (workshop, suites):
        found = list_features(workshop.engine, _names(suites))
    if as_json:
        print_json([_as_json(listed, suites) for listed in found])
        return
    headings = {"feature": True, "suite": False, "runs": False, "last window (UTC)": False, "score": False}
    rows = [_row(listed, suites) for listed in found]
    print_table({**headings, "open incident": True}, rows)
    for listed in found:
        name = listed.standing.feature
        if _suite(name, suites) == "gone":
            typer.echo(
                f"The suite of {shown(name)} is gone; if it has another name now: "
                f"evalops features rename {shown(name)} NEW"
            )
        elif name in suites.broken:
            typer.echo(f"The suite of {name} cannot be used: {shown(suites.broken[name])}")


@app.command(short_help="Carry a feature's history over to another name.")
def rename(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The name that the history has.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The name that it is to have.")],
    keep_new: Annotated[
        bool, typer.Option("--keep-new", help="Of a window that both have, keep NEW's run in the trend.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Carry the whole history of OLD over to NEW, after the suite's folder was renamed: runs, verdicts, incidents.

    NEW may have runs of its own by then. Of a window that both have, OLD's run becomes a manual one with --keep-new;
    what only one can have besides (pinned baseline, what the statistics sum up) stays as NEW has it.

    \b
      evalops features rename explain explain_text
    """
    from evalops_core.run.feature_desk import look_at, rename_feature
    from evalops_core.wiring import drift_gate
    from evalops_dagster.cli.sheet import shown

    with _workshop() as (workshop, suites):
        names = _names(suites)
        renaming = look_at(workshop.engine, old, new, suites=names, keep_new=keep_new)
        if not yes:
            _confirm(shown(old), new, renaming)
        gates = (workshop.gate(), drift_gate(workshop))
        done, carried = rename_feature(
            workshop.engine, *gates, old, new, workshop.tools.now(), suites=names, keep_new=keep_new
        )
    typer.echo(f"carried over from {shown(old)} to {new}: {_counted(carried)}")
    for sentence in _also(done, new):
        typer.echo(sentence)
    if new not in names:
        typer.echo(f"{new} has no suite yet; nothing is evaluated under that name before it has one.")
    typer.echo(
        f"In the Dagster UI what was materialized before stays under {shown(old)}, for Dagster cannot rename an asset; "
        f"trend, verdicts and incidents go on as {new}."
    )


def _confirm(old: str, new: str, renaming: "Renaming") -> None:
    """typer.Exit where the answer is no, ConfigError where nobody can be asked."""
    import sys

    from evalops_core.errors import ConfigError

    if not sys.stdin.isatty():
        raise ConfigError("there is no terminal to ask whether it is meant; say --yes", key="--yes")
    ours, theirs = renaming.old, renaming.new
    typer.echo(
        f"{old} has {_amount(ours.runs, 'eval run')}{_windows(ours.first_window, ours.last_window)} and "
        f"{_amount(ours.incidents, 'incident')}."
    )
    if theirs.runs or theirs.incidents:
        typer.echo(
            f"{new} has {_amount(theirs.runs, 'eval run')}{_windows(theirs.first_window, theirs.last_window)} and "
            f"{_amount(theirs.incidents, 'incident')} of its own; afterwards nobody can tell them apart."
        )
    if renaming.by_hand:
        typer.echo(f"Of {_amount(len(renaming.by_hand), 'window')} that both have, {old}'s run becomes a manual one.")
    if not typer.confirm(f"Carry the history of {old} over to {new}?"):
        typer.echo("nothing was changed")
        raise typer.Exit(1)


def _also(done: "Renaming", new: str) -> list[str]:
    """What else a person should know of it."""
    said: list[str] = []
    if done.by_hand:
        of = _amount(len(done.by_hand), "window")
        said.append(f"Of {of} that both had, the run of {new} stays in the trend; the other is a manual run now.")
    if done.unpins:
        said.append(f"The baseline that {new} has pinned stays; the other pin was taken back.")
    said += [f"Incident {number} is over: {new} waits for its data in one of its own." for number in done.over]
    return said


def _row(listed: "ListedFeature", suites: "Suites") -> tuple[str, ...]:
    standing = listed.standing
    return (
        standing.feature,
        _suite(standing.feature, suites),
        str(standing.runs),
        standing.last_window or "–",
        "–" if standing.last_score is None else str(standing.last_score),
        ", ".join(f"{incident.id} ({incident.kind.replace('_', ' ')})" for incident in listed.incidents) or "–",
    )


def _as_json(listed: "ListedFeature", suites: "Suites") -> Mapping[str, object]:
    standing = listed.standing
    return {
        "feature": standing.feature,
        "suite": _suite(standing.feature, suites),
        "runs": standing.runs,
        "last_window": standing.last_window,
        "last_score": standing.last_score,
        "open_incidents": [incident.id for incident in listed.incidents],
    }


def _suite(feature: str, suites: "Suites") -> str:
    return "yes" if feature in suites.usable else "broken" if feature in suites.broken else "gone"


def _names(suites: "Suites") -> list[str]:
    return [*suites.usable, *suites.broken]


def _counted(carried: Mapping[str, int]) -> str:
    return ", ".join(_amount(number, what.removesuffix("s")) for what, number in carried.items())


def _amount(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _windows(first: str | None, last: str | None) -> str:
    if first is None:
        return ""
    return f" (window {first})" if first == last else f" (windows {first} to {last})"


@contextmanager
def _workshop() -> "Generator[tuple[Workshop, Suites], None, None]":
    from evalops_core.settings import load_settings
    from evalops_core.wiring import open_workshop, read_suites, while_needed

    settings = load_settings()
    suites = read_suites(settings)
    with while_needed(settings), open_workshop(settings) as workshop:
        yield workshop, suites
