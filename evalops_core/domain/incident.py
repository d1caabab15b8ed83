"""Incidents: conditions that last, and what a new fact does to them.

What belongs here: the state machine over values. What does not: how incidents are kept (store), who is told and how
(outbox, mail). An incident keeps the reference that it was opened against, so that a level shift neither alerts anew
every day nor becomes normal by itself; the days of a drift are no part of what later days are compared with, which
comes to the same.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, Union

from evalops_core.domain.regression import Verdict

Kind = Literal["regression", "no_data", "drift"]
State = Literal["firing", "silenced", "resolved"]
Resolution = Literal["recovered", "accepted"]

NO_DATA_INTERVALS = 1.5
REMIND_EVERY = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A row of `incidents`. Scores are on the 1–5 scale and None where the kind has none: what is known of a drift
    stands in its days.

    `reference` is the score before the drop, `lowest` the lowest since. `reason` and `closed_by` are those of a person
    who accepted it.
    """

    id: int
    kind: Kind
    feature: str
    model_id: str | None
    state: State
    opened_at: datetime
    reference: Decimal | None = None
    reference_run_id: int | None = None
    current: Decimal | None = None
    lowest: Decimal | None = None
    opened_by_run_id: int | None = None
    resolved_by_run_id: int | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    silenced_until: datetime | None = None
    reminded_at: datetime | None = None
    resolved_at: datetime | None = None
    resolution: Resolution | None = None
    reason: str | None = None
    closed_by: str | None = None

    @property
    def is_open(self) -> bool:
        return self.resolved_at is None


def fingerprint(kind: Kind, feature: str, model_id: str | None = None) -> str:
    """What at most one open incident may have."""
    return ":".join([kind, feature, *([model_id] if model_id else [])])


@dataclass(frozen=True, slots=True)
class Opens:
    """The condition has begun; `reference` is the score before it."""

    reference: Decimal
    current: Decimal


@dataclass(frozen=True, slots=True)
class GoesOn:
    """It lasts, at `current`; nothing is sent."""

    current: Decimal


@dataclass(frozen=True, slots=True)
class Recovers:
    """The score is back at its reference."""

    current: Decimal


Change = Union[Opens, GoesOn, Recovers, None]


def after_verdict(
    incident: Incident | None,
    found: Verdict,
    threshold: Decimal,
    *,
    measured_alike: bool,
    against_reference: bool = False,
) -> Change:
    """What a verdict does to the open regression incident of its feature and model, or to their having none.

    A regression that pages opens one. An open one goes on whatever the run before scored, until the score is within
    half of `threshold` (a drop on the 1–5 scale) of the incident's own reference. A verdict that compares with the runs
    from before the incident (`against_reference`, as the statistics do) must have found the fall gone, too. A score
    that was not `measured_alike` (scorers, judge) as the reference says nothing about it.
    """
    if found.current is None:
        return None
    if incident is None:
        opens = found.outcome == "regressed" and found.severity == "page" and found.prior is not None
        return Opens(found.prior, found.current) if opens and found.prior is not None else None
    if incident.reference is None or not measured_alike:
        return None
    gone = not against_reference or found.outcome in ("stable", "improved")
    if gone and found.current >= incident.reference - threshold / 2:
        return Recovers(found.current)
    return GoesOn(found.current)


def after_drift(
    incident: Incident | None, state: str, *, reaches_back: bool = True
) -> Literal["opens", "goes on", "recovers"] | None:
    """What a day's drift, in one of the states of `drift.day.State`, does to the feature's open drift incident.

    Days in a row above the threshold open one, once for all that follow; a day within it ends it, and a day that says
    nothing changes nothing. Nor does one whose baseline does not reach back (`reaches_back`) to before the incident, as
    after a change of the embedding model: it is as the days of the drift, which is no news.
    """
    if incident is None:
        return "opens" if state == "alerting" else None
    return "recovers" if state == "ok" and reaches_back else "goes on"


def lacks_data(now: datetime, interval_hours: int, last_valid_at: datetime | None, watched_since: datetime) -> bool:
    """Whether a feature whose schedule is on has had no valid result for more than 1.5 intervals.

    Counted from the last valid result or from when the schedule began to be watched, whichever is later.
    """
    since = watched_since if last_valid_at is None else max(last_valid_at, watched_since)
    return now - since > timedelta(hours=NO_DATA_INTERVALS * interval_hours)


def is_silent(silenced_until: datetime | None, now: datetime) -> bool:
    return silenced_until is not None and now < silenced_until


def wants_reminder(incident: Incident, now: datetime) -> bool:
    """Whether a day has passed since the incident opened or was last brought to mind, and nobody took it on."""
    if incident.state != "firing" or incident.acknowledged_at is not None or is_silent(incident.silenced_until, now):
        return False
    return now - (incident.reminded_at or incident.opened_at) >= REMIND_EVERY
