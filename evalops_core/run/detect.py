"""From new scheduled scores to verdicts, incidents and the messages they owe.

What belongs here: whether there is anything to judge, and what was found. What does not: judging (settle), the verdict
and what it does to an incident (domain), sending (deliver), what a message says (letters).

Nothing depends on where a caller's cursor stands: the runs that wait for a verdict are known to the database, and the
unique keys let each verdict, incident and message be made once, whoever looks, however often, and wherever it dies.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from evalops_core.domain.eval_run import EvalRun
from evalops_core.run.alert_rules import AlertRules
from evalops_core.store.alerting import reading
from evalops_core.store.verdicts import Judged


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look found. `waiting` runs belong to a Dagster run that goes on, whose other features may have something
    to say in the same mail; `unconfirmed` ones wait for a second run, and `to_confirm` are those of them for which one
    is wanted now, by this look alone."""

    judged: int = 0
    regressed: int = 0
    opened: int = 0
    recovered: int = 0
    messages: int = 0
    waiting: int = 0
    unconfirmed: int = 0
    to_confirm: tuple[EvalRun, ...] = ()


def detect(
    engine: Engine,
    rules: AlertRules,
    now: datetime,
    *,
    in_progress: Callable[[], Collection[str]] = tuple,
    cannot_confirm: Callable[[EvalRun], str | None] = lambda _: "nobody runs it here",
) -> Looked:
    """Judge the scheduled runs that ended since the last look, oldest window first, in one transaction.

    `in_progress` gives the (root) ids of Dagster runs that have not ended: theirs are left for a later look. It is
    asked only where there is anything to judge. `cannot_confirm` says why no second run can confirm the fall of a run,
    None where one can be started.
    """
    with reading(engine) as tables:
        if not tables.verdicts.waiting(1):
            return Looked()
    from evalops_core.run.settle import settle  # with the statistics, which most ticks do not need

    return settle(engine, rules, now, in_progress(), cannot_confirm)


def verdicts_since(engine: Engine, verdict_id: int | None, features: Iterable[str], limit: int) -> list[Judged]:
    """The verdicts after that one, oldest first; without one, the newest of each feature, so that a reader that starts
    anew does not go through all of history."""
    with reading(engine) as tables:
        if verdict_id is not None:
            return tables.verdicts.after(verdict_id, limit)
        newest = [tables.verdicts.newest_of(feature) for feature in features]
        return sorted((judged for judged in newest if judged is not None), key=lambda judged: judged.id)


def standing_verdict(engine: Engine, feature: str) -> Judged | None:
    """The verdict on the feature's newest scheduled score."""
    with reading(engine) as tables:
        return tables.verdicts.newest_of(feature)
