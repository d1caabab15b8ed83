"""What a sampled day comes to: its state, its incident and the mail, in one transaction.

What belongs here: gathering what the decision needs, and writing what follows from it. What does not: the decision
(domain.drift.decide, domain.incident), delivery (run.deliver).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Engine

from evalops_core.domain.drift.day import DriftDay
from evalops_core.domain.drift.decide import Measured, baseline_of, decide
from evalops_core.domain.drift.measure import measure
from evalops_core.domain.incident import after_drift, is_silent
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

    ConfigError where it has not been sampled with that embedding model.
    """
    suite = rules.of(feature).suite
    spec = suite.drift if suite else DriftSpec()
    with alerting(engine) as tables:
        days = DriftDays(tables.connection)
        today = days.get(feature, day, embedding_model)
        if today is None:
            raise ConfigError(
                f"{day} of {feature} has no centroid by {embedding_model} yet; materialize input_centroid of that day"
            )
        if today.state is not None:
            return Detected(today, repeated=True)
        history = days.before(feature, day, embedding_model)
        found = decide(today, history, spec, _measured(days, today, baseline_of(history, spec), spec))
        opened = recovered = incident = None
        standing = tables.incidents.standing("drift", feature)
        if days.is_newest(today) and now.date() - day <= _NEWS:
            owed = Owed()
            change = after_drift(standing, found.state)
            incident = None if standing is None else standing.id
            if change == "opens":
                incident = opened = _open(tables, feature, rules, owed, now)
            elif change == "recovers" and standing is not None:
                incident, recovered = None, standing.id
                closed = tables.incidents.close(standing.id, "recovered", now)
                if not is_silent(closed.silenced_until, now):
                    owed.resolves("drift", closed, tables)
            owed.write(tables, now)
        days.decide(today.id, found, now, incident)
        decided = days.get(feature, day, embedding_model)
        assert decided is not None, "it is locked by this transaction"  # noqa: S101  # tells the type checker
        return Detected(decided, opened=opened, recovered=recovered)


def _measured(days: DriftDays, today: DriftDay, baseline: Sequence[DriftDay], spec: DriftSpec) -> Measured | None:
    if not baseline or not today.has_centroid:
        return None
    earlier = [day.id for day in baseline]
    centroids = days.centroids([today.id, *earlier])
    samples = days.samples([today.id, *(earlier if spec.threshold is None else ())])
    return measure(
        centroids[today.id],
        samples.get(today.id, {}),
        [centroids[day] for day in earlier],
        [samples.get(day, {}) for day in earlier],
        spec,
    )


def _open(tables: Alerting, feature: str, rules: AlertRules, owed: Owed, now: datetime) -> int | None:
    incident = tables.incidents.open_one("drift", feature, None, now)
    if incident is None:
        return None
    if incident.state == "firing":
        owed.fires("drift", incident, rules.of(feature).recipients)
    return incident.id
