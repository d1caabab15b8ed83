"""Retention: what people and jobs take out of the store when it is old, and what they are shown before.

What belongs here: how old is old enough, and the order of batches. What does not: statements (store.purge), Dagster's
events (evalops_dagster.event_purge), options and words of commands (evalops_dagster.cli).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine

from evalops_core.run.progress import Progress, Report, silent
from evalops_core.store.purge import OldTexts, OldTraces, Purge
from evalops_core.store.traces import Purged, Traces

__all__ = [
    "YOUNGEST",
    "OldTexts",
    "OldTraces",
    "Purged",
    "TakenTexts",
    "days_before",
    "old_texts",
    "old_traces",
    "purge_old_traces",
    "purge_texts",
]

YOUNGEST = timedelta(days=1)  # what is younger may belong to a window that is still open


@dataclass(frozen=True, slots=True)
class TakenTexts:
    """Of how many eval runs, with how many responses and scores, and of how many mails texts were taken; how many kept
    judgments were deleted."""

    runs: int
    responses: int
    scores: int
    mails: int
    judgments: int


def days_before(days: int, now: datetime) -> datetime | None:
    """The moment so many days ago; None where the calendar does not have so many."""
    try:
        return now - timedelta(days=days)
    except OverflowError:
        return None


def old_texts(engine: Engine, before: datetime) -> OldTexts:
    """What `purge_texts` would take."""
    return Purge(engine).old_texts(before)


def old_traces(engine: Engine, before: datetime) -> OldTraces:
    """What `purge_old_traces` would delete."""
    return Purge(engine).old_traces(before)


def purge_texts(engine: Engine, before: datetime, report: Report = silent) -> TakenTexts:
    """Take answers, errors, and the reasons of judges and rules out of the eval runs that ended before then; mails that
    were sent or given up before then; judgments kept for runs by hand.

    Scores, reasons of unscored cases, tokens and costs stay, so trend, verdicts and baselines are as they were.
    Interrupted, it has taken some runs' texts whole and the others' not at all.
    """
    purge = Purge(engine)
    found = purge.runs(before)
    tell = _counting("texts of eval runs", len(found), report)
    runs = responses = scores = 0
    for done, run_id in enumerate(found, start=1):
        taken = purge.take_texts(run_id, before)
        if taken is not None:
            runs, responses, scores = runs + 1, responses + taken[0], scores + taken[1]
        tell(done)
    mails = _all(lambda: purge.take_mails(before))
    return TakenTexts(runs, responses, scores, mails, _all(lambda: purge.forget_judgments(before)))


def purge_old_traces(engine: Engine, before: datetime) -> Purged:
    """Delete the traces from before then, and the embeddings kept of days that were over by then."""
    return Traces(engine).purge(before)


def _all(batch: Callable[[], int]) -> int:
    total = 0
    while taken := batch():
        total += taken
    return total


def _counting(stage: str, total: int, report: Report) -> Callable[[int], None]:
    started = time.monotonic()

    def tell(done: int) -> None:
        report(Progress(stage, done, total, 0, 0, time.monotonic() - started))

    return tell
