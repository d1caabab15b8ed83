"""Which days of drift a tick should start, and for each feature without one why not.

What belongs here: that choice, a day and feature at a time. What does not: launching (Dagster), what is done in a day.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

from sqlalchemy import Engine

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
    with engine.connect() as connection:
        days, traces = DriftDays(connection), Traces(connection)
        for suite in suites:
            feature, reason = suite.feature, None
            first = traces.first_at(feature)
            if first is None:
                reasons.append(f"{feature} has no traces")
                continue
            begin = max(last - timedelta(days=_CATCH_UP_DAYS - 1), first.astimezone(timezone.utc).date())
            seen = set(days.seen(feature, embedding_model, begin))
            for number in range((last - begin).days + 1):
                day = begin + timedelta(days=number)
                if day in seen:
                    continue
                starts, ends = span(day)
                if traces.enough(feature, starts, ends, suite.drift.min_sample) or now - ends >= _LATE:
                    start.append((feature, day))
                else:
                    reason = f"{feature} waits for traces of {day}, until {ends + _LATE:%Y-%m-%d %H:%M} UTC"
            if all(feature != name for name, _ in start):
                reasons.append(reason or f"{feature} is done up to {last}")
    return DriftTick(tuple(start), tuple(reasons))
