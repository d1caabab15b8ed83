"""Which days of drift a tick should start, and for each feature without one why not.

What belongs here: that choice, a day and feature at a time. What does not: launching (Dagster), what is done in a day.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

from sqlalchemy import Connection, Engine

from evalops_core.domain.drift.day import series_name
from evalops_core.domain.suite import Suite
from evalops_core.run.drift.sample import span
from evalops_core.store.drift import DriftDays
from evalops_core.store.traces import Traces

_CATCH_UP_DAYS = 7
_LATE = timedelta(hours=24)
"""How long after its end a day with too few traces is waited for: they may come in a batch, once a day."""


@dataclass(frozen=True, slots=True)
class DriftTick:
    """`start` are the (feature, day) to look at now, a feature's in order; `reasons` one sentence for each other."""

    start: tuple[tuple[str, date], ...]
    reasons: tuple[str, ...]


def decide_drift_tick(engine: Engine, suites: Iterable[Suite], embedding_model: str, now: datetime) -> DriftTick:
    """Each day that is over is due once, as soon as it has enough traces; one with too few a day later, so that it is
    recorded as such. Days that were missed are made up for, the last week's at most."""
    start: list[tuple[str, date]] = []
    reasons: list[str] = []
    last = now.date() - timedelta(days=1)
    for suite in suites:
        try:
            with engine.connect() as connection:
                days, reason = _of_one(connection, suite, embedding_model, last, now)
        except Exception as error:  # noqa: BLE001  # what is wrong with one feature must not keep the others waiting
            days, reason = [], f"{suite.feature} could not be looked at ({type(error).__name__})"
        start += [(suite.feature, day) for day in days]
        if not days:
            reasons.append(reason)
    return DriftTick(tuple(start), tuple(reasons))


def _of_one(
    connection: Connection, suite: Suite, embedding_model: str, last: date, now: datetime
) -> tuple[list[date], str]:
    """The days that are due, oldest first, and what to say where none is."""
    traces, feature = Traces(connection), suite.feature
    week = last - timedelta(days=_CATCH_UP_DAYS - 1)
    first = traces.first_since(feature, span(week)[0])
    if first is None:
        return [], f"{feature} has no traces of the last {_CATCH_UP_DAYS} days"
    begin = first.astimezone(timezone.utc).date()
    seen = set(DriftDays(connection).seen(feature, series_name(embedding_model, suite.drift), begin))
    due: list[date] = []
    reason = f"{feature} is done up to {last}"
    for number in range((last - begin).days + 1):
        day = begin + timedelta(days=number)
        if day in seen:
            continue
        starts, ends = span(day)
        if traces.enough(feature, starts, ends, suite.drift.min_sample) or now - ends >= _LATE:
            due.append(day)
        else:
            reason = f"{feature} waits for traces of {day}, until {ends + _LATE:%Y-%m-%d %H:%M} UTC"
    return due, reason
