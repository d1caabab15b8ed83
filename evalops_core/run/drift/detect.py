"""What a sampled day comes to: its state, its incident and the mail, in one transaction.

What belongs here: gathering what the decision needs, and writing what follows from it. What does not: the decision
(domain.drift.decide, domain.incident), delivery (run.deliver).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Engine

from evalops_core.domain.drift.day import DriftDay, series_name
from evalops_core.domain.drift.decide import Decision, Measured, baseline_of, decide
from evalops_core.domain.drift.measure import measure
from evalops_core.domain.incident import Incident, after_drift
from evalops_core.domain.suite import DriftSpec
from evalops_core.errors import ConfigError
from evalops_core.run.alert_rules import AlertRules
from evalops_core.run.owed import Owed
from evalops_core.store.alerting import Alerting, alerting
from evalops_core.store.drift import DriftDays

_NEWS = timedelta(days=7)
"""A day that ended longer ago is history that somebody fills in: it gets its state, and nobody is called for it."""


@dataclass(frozen=True, slots=True)
class Detected:
    """The decided day. `repeated` says that it had been decided before; `opened` and `recovered` are incidents."""

    day: DriftDay
    repeated: bool = False
    opened: int | None = None
    recovered: int | None = None


def detect_drift(
    engine: Engine, feature: str, day: date, embedding_model: str, rules: AlertRules, now: datetime
) -> Detected:
    """Decide the day, which has been sampled. One that is decided stays so, and nobody is told twice.

    ConfigError where it has not been sampled with that embedding model, or the days before it are of vectors of another
    length.
    """
    suite = rules.of(feature).suite
    spec = suite.drift if suite else DriftSpec()
    series = series_name(embedding_model, spec)
    with engine.connect() as connection:  # measured before the lock, for which everybody else would wait meanwhile
        seen = _look(DriftDays(connection), feature, day, series)
        measured = _measured(DriftDays(connection), seen, spec)
    with alerting(engine) as tables:
        days = DriftDays(tables.connection)
        now_seen = _look(days, feature, day, series)
        if now_seen != seen:  # another process was here
            seen, measured = now_seen, _measured(days, now_seen, spec)
        today, history = seen
        if today.state is not None:
            return Detected(today, repeated=True)
        found = decide(today, history, spec, measured)
        opened = recovered = None
        incident = today.incident_id
        if days.is_newest(today) and now.date() - day <= _NEWS:
            owed = Owed()
            standing = tables.incidents.standing("drift", feature)
            change = after_drift(standing, found.state, reaches_back=_reaches_back(days, standing, found))
            incident = None if standing is None else standing.id
            if change == "opens":
                incident = opened = _open(tables, feature, rules, owed, now)
            elif change == "recovers" and standing is not None:
                incident, recovered = None, standing.id
                closed = tables.incidents.close(standing.id, "recovered", now)
                owed.resolves("drift", closed, tables, now)
            owed.write(tables, now)
        return Detected(days.decide(today.id, found, now, incident), opened=opened, recovered=recovered)


def _look(days: DriftDays, feature: str, day: date, series: str) -> tuple[DriftDay, Sequence[DriftDay]]:
    """The day, and those decided before it."""
    today = days.get(feature, day, series)
    if today is None:
        raise ConfigError(f"{day} of {feature} has no centroid by {series} yet; materialize input_centroid of that day")
    return today, days.before(feature, day, series)


def _measured(days: DriftDays, seen: tuple[DriftDay, Sequence[DriftDay]], spec: DriftSpec) -> Measured | None:
    today, history = seen
    baseline = baseline_of(history, spec)
    if today.state is not None or not baseline or not today.has_centroid:
        return None
    earlier = [day.id for day in baseline]
    centroids = days.centroids([today.id, *earlier])
    if len({len(vector) for vector in centroids.values()}) > 1:
        raise ConfigError(
            f"{today.embedding_model} answers vectors of another length than for the days before {today.day}; give the "
            "new model a name of its own (EVALOPS_EMBEDDING_MODEL), so that a baseline of its own begins"
        )
    samples = days.samples([today.id, *(earlier if spec.threshold is None else ())])
    return measure(
        centroids[today.id],
        samples.get(today.id, {}),
        [centroids[day] for day in earlier],
        [samples.get(day, {}) for day in earlier],
        spec,
    )


def _reaches_back(days: DriftDays, standing: Incident | None, found: Decision) -> bool:
    """Whether the day was compared with any from before the incident."""
    opened = days.of_incident(standing.id)[:1] if standing else []
    return not opened or any(day < opened[0].day for day in found.baseline_days)


def _open(tables: Alerting, feature: str, rules: AlertRules, owed: Owed, now: datetime) -> int | None:
    incident = tables.incidents.open_one("drift", feature, None, now)
    if incident is None:
        return None
    owed.fires("drift", incident, rules.of(feature).recipients)
    return incident.id
