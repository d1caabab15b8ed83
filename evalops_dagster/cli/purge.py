"""`evalops purge`: takes what is old out of the store and out of Dagster's record, after saying what it would be.

What belongs here: the command, its options and what it prints. What does not: what is old and how it is taken
(run.purge, event_purge).
"""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dagster import DagsterInstance
    from sqlalchemy import Engine

    from evalops_core.run.progress import Report

_KINDS = ("texts", "traces", "events")


def register(app: typer.Typer) -> None:
    app.command("purge", short_help="Delete old texts, traces and events; says first what it would be.")(purge)


def purge(
    older_than: Annotated[
        str,
        typer.Option(
            metavar="WHEN", help="A span like 90d or 12w, or a date like 2026-01-31 (UTC).", show_default=False
        ),
    ],
    texts: Annotated[bool, typer.Option("--texts", help="Answers, reasons and mails; scores stay.")] = False,
    traces: Annotated[bool, typer.Option("--traces", help="Traces of production.")] = False,
    events: Annotated[bool, typer.Option("--events", help="Dagster's runs with their events, and ticks.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without it nothing is changed.")] = False,
) -> None:
    """Say what is older than WHEN, and with --yes delete it: texts, traces and events, or those that are named.

    Scores, verdicts, incidents, tokens and costs stay as they are, and so does the trend. Safe while an evaluation
    runs, and to be interrupted and started again. docs/backup.md says how to keep a copy before.

    \b
      evalops purge --older-than 90d
      evalops purge --older-than 90d --texts --yes
      evalops purge --older-than 2026-01-31 --events --yes
    """
    from datetime import timezone

    from evalops_core.run.purge import YOUNGEST
    from evalops_core.settings import load_settings
    from evalops_core.wiring import open_store, while_needed
    from evalops_dagster.cli.console import progress_bar
    from evalops_dagster.cli.moments import past_moment, spelt

    given = dict(zip(_KINDS, (texts, traces, events), strict=True))
    kinds = [kind for kind in _KINDS if given[kind] or not any(given.values())]
    try:
        before = past_moment(older_than, datetime.now(timezone.utc), YOUNGEST)
    except ValueError as error:
        from evalops_core.errors import ConfigError

        raise ConfigError(str(error), key="--older-than") from None
    settings = load_settings()
    with while_needed(settings):
        engine = open_store(settings)
        try:
            if yes:
                with progress_bar("purge") as report:
                    for kind in kinds:
                        typer.echo(f"{kind:7} {_taken(kind, engine, before, report)}")
                return
            typer.echo(f"What is older than {spelt(before)}:")
            for kind in kinds:
                typer.echo(f"{kind:7} {_found(kind, engine, before)}")
        finally:
            engine.dispose()
    named = "".join(f" --{kind}" for kind in _KINDS if given[kind])
    typer.echo("Nothing was deleted. This deletes it, for good:")
    typer.echo(f"  evalops purge --older-than {older_than.strip()}{named} --yes")


def _found(kind: str, engine: "Engine", before: datetime) -> str:
    if kind == "texts":
        from evalops_core.run.purge import old_texts

        found = old_texts(engine, before)
        kept = f"; {_amount(found.unfinished, 'run')} that never ended keep theirs" if found.unfinished else ""
        return (
            f"{_texts(found.runs, found.responses, found.scores)}{_span(found.first, found.last)}, "
            f"{_amount(found.mails, 'mail')}, {_amount(found.judgments, 'kept judgment')}{kept}"
        )
    if kind == "traces":
        from evalops_core.run.purge import old_traces

        old = old_traces(engine, before)
        return f"{_amount(old.traces, 'trace')}{_span(old.first, old.last)}, {_amount(old.embeddings, 'embedding')}"
    from evalops_dagster.event_purge import old_events

    with _instance() as instance:
        events = old_events(instance, before)
    return (
        f"{_amount(events.runs, 'Dagster run')} with their events{_span(events.first, events.last)}, and the ticks of "
        f"{_amount(events.instigators, 'schedule or sensor', 'schedules and sensors')}, not counted"
    )


def _taken(kind: str, engine: "Engine", before: datetime, report: "Report") -> str:
    if kind == "texts":
        from evalops_core.run.purge import purge_texts

        taken = purge_texts(engine, before, report)
        return (
            f"{_texts(taken.runs, taken.responses, taken.scores)}, {_amount(taken.mails, 'mail')}, "
            f"{_amount(taken.judgments, 'kept judgment')} deleted; their scores stay"
        )
    if kind == "traces":
        from evalops_core.run.purge import purge_old_traces

        gone = purge_old_traces(engine, before)
        return f"{_amount(gone.traces, 'trace')}, {_amount(gone.embeddings, 'embedding')} deleted"
    from evalops_dagster.event_purge import purge_events

    with _instance() as instance:
        runs = purge_events(instance, before, report)
    return f"{_amount(runs, 'Dagster run')} with their events deleted, and old ticks"


@contextmanager
def _instance() -> "Generator[DagsterInstance, None, None]":
    """The instance as `dagster.yaml` has it: what its steps printed is deleted with them."""
    from dagster import DagsterInstance

    from evalops_dagster.cli.instance import instance_folder

    with DagsterInstance.from_config(str(instance_folder())) as instance:
        yield instance


def _texts(runs: int, responses: int, scores: int) -> str:
    return (
        f"the texts of {_amount(runs, 'eval run')}: {_amount(responses, 'answer or error', 'answers and errors')}, "
        f"{_amount(scores, 'reason')} of scores"
    )


def _span(first: datetime | None, last: datetime | None) -> str:
    return "" if first is None or last is None else f" ({first:%Y-%m-%d} to {last:%Y-%m-%d})"


def _amount(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
