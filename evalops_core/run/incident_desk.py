"""What people do with incidents: look at them, take them on, quieten them, accept the new level.

What belongs here: one small function for each, acting in one transaction in which the incident is read anew, so that
whoever comes too late is told so. What does not: when incidents open and recover by themselves (detect, watch), options
and words of commands (evalops_dagster.cli).
"""

from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Engine

from evalops_core.domain.incident import Incident, Kind
from evalops_core.errors import ConfigError
from evalops_core.run.alert_rules import AlertRules
from evalops_core.run.detect import Judged
from evalops_core.run.drift.course import DriftCourse, drift_course, drift_courses
from evalops_core.run.drift.letters import STEP
from evalops_core.run.links import asset_link, checks_link, run_link
from evalops_core.run.owed import Owed
from evalops_core.store.alerting import Alerting, alerting, reading
from evalops_core.store.outbox import Message, Outbox, told
from evalops_core.store.runs import EvalRuns

_VERDICTS = 100
_RECOVERED: Mapping[Kind, str] = {
    "regression": "the score recovered",
    "no_data": "data is back",
    "drift": "what users ask is as before again",
}


@dataclass(frozen=True, slots=True)
class Listed:
    """An incident and how many runs it has lasted for, days of a drift, the first included; 0 where it is data that
    does not come. `drift` has those days and is None for other kinds."""

    incident: Incident
    runs: int
    drift: DriftCourse | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentFile:
    """Everything about one incident. `verdicts` and `messages` are newest first; `runs` and `drift` as in `Listed`.

    The windows are partition keys: of the run or day it was opened by, of its reference's run and of what ended it;
    None where there is none or it was deleted. `recovers_at` is the score at which it ends, None where its feature has
    no suite now or no score is missed. `links` maps what is found in the UI to its address.
    """

    incident: Incident
    runs: int
    verdicts: tuple[Judged, ...]
    messages: tuple[Message, ...]
    opened_window: str | None
    reference_window: str | None
    resolved_window: str | None
    recovers_at: Decimal | None
    links: Mapping[str, str]
    drift: DriftCourse | None = None


def list_incidents(
    engine: Engine, *, feature: str | None = None, only_open: bool = True, limit: int = 100
) -> list[Listed]:
    """Newest first."""
    with reading(engine) as tables:
        found = tables.incidents.listed(feature=feature, only_open=only_open, limit=limit)
        runs = tables.incidents.runs_seen([incident.id for incident in found])
        drifts = drift_courses(tables.connection, found)
    return [_listed(incident, runs.get(incident.id, 0), drifts.get(incident.id)) for incident in found]


def incident_features(engine: Engine) -> Collection[str]:
    """The features that have or had an incident."""
    with reading(engine) as tables:
        return tables.incidents.features()


def incident_file(engine: Engine, incident_id: int, rules: AlertRules) -> IncidentFile:
    """ConfigError where there is no such incident."""
    with reading(engine) as tables:
        incident = tables.incidents.get(incident_id)
        if incident.kind == "drift":
            return _drift_file(engine, incident, drift_course(tables.connection, incident), rules)
        verdicts = tables.verdicts.of_incident(incident_id, _VERDICTS)
        runs = tables.incidents.runs_seen([incident_id]).get(incident_id, 0)
    stored, feature = EvalRuns(engine), rules.of(incident.feature)
    opened = None if incident.opened_by_run_id is None else stored.get(incident.opened_by_run_id)
    reference = None if incident.reference_run_id is None else stored.get(incident.reference_run_id)
    ended = None if incident.resolved_by_run_id is None else stored.get(incident.resolved_by_run_id)
    window = opened and opened.partition_key
    links = {
        "asset": asset_link(rules.ui_url, incident.feature, window),
        "checks": checks_link(rules.ui_url, incident.feature),
    }
    made_by = run_link(rules.ui_url, opened.dagster_run_id if opened else None)
    return IncidentFile(
        incident=incident,
        runs=runs,
        verdicts=tuple(verdicts),
        messages=tuple(Outbox(engine).listed(incident_id=incident_id)),
        opened_window=window,
        reference_window=reference and reference.partition_key,
        resolved_window=ended and ended.partition_key,
        recovers_at=incident.reference - feature.rules.drop / 2 if incident.reference and feature.suite else None,
        links={**links, "Dagster run": made_by} if made_by else links,
    )


def acknowledge(engine: Engine, incident_id: int, by: str, now: datetime) -> Incident:
    """Somebody is on it: no more reminders. ConfigError where it does not exist or is over, as of all that follow."""
    with _open(engine, incident_id) as (tables, _):
        return tables.incidents.acknowledge(incident_id, by, now)


def silence(engine: Engine, incident_id: int, until: datetime, now: datetime) -> Incident:
    """No mails about it, nor about the next of its kind, feature and model, until then; ConfigError for the past."""
    if until <= now:
        raise ConfigError(f"{until:%Y-%m-%d %H:%M} UTC is over; a silence ends in the future", key="--until")
    with _open(engine, incident_id) as (tables, _):
        return tables.incidents.silence(incident_id, until)


def unsilence(engine: Engine, incident_id: int, rules: AlertRules, now: datetime) -> tuple[Incident, int]:
    """The incident, and how many messages that came to: one that began in silence is told of now.

    ConfigError where it is not silenced.
    """
    with _open(engine, incident_id) as (tables, incident):
        if incident.silenced_until is None:
            raise ConfigError(f"incident {incident_id} is not silenced; nothing to do")
        loud, owed = tables.incidents.unsilence(incident_id), Owed()
        if not told(tables.connection, incident_id):
            owed.fires("silence was ended", loud, rules.of(loud.feature).recipients)
        return loud, owed.write(tables, now)


def accept(engine: Engine, incident_id: int, reason: str, by: str, now: datetime) -> Incident:
    """The new level is meant: the incident is over, and the runs to come are compared with those since the drop.

    Of a drift: people ask like this from now on, and the days since it opened are the baseline of those to come. Nobody
    is told. ConfigError where data is missed.
    """
    with _open(engine, incident_id) as (tables, incident):
        if incident.kind == "no_data":
            raise ConfigError(
                f"incident {incident_id} is of data that does not come, so there is no level to accept; it ends with "
                f"the next valid scheduled run, and `evalops incidents silence {incident_id} --until 2w` keeps it quiet"
            )
        if incident.kind == "regression":
            tables.statistics.forget_slide(incident.feature)  # what it has summed up was against the old level
        return tables.incidents.close(incident_id, "accepted", now, reason=reason, by=by)


def how_it_ended(incident: Incident) -> str:
    """Since when it is over, and how. ValueError for an open one."""
    if incident.resolved_at is None:
        raise ValueError("it is not over")
    if incident.resolution == "accepted":
        by = f" by {incident.closed_by}" if incident.closed_by else ""
        how = f"it was accepted{by}" + (f" ({incident.reason})" if incident.reason else "")
    else:
        how = _RECOVERED[incident.kind]
    return f"over since {incident.resolved_at:%Y-%m-%d %H:%M} UTC: {how}"


def _listed(incident: Incident, runs: int, drift: DriftCourse | None) -> Listed:
    return Listed(incident, len(drift.days) if drift else runs, drift)


def _drift_file(engine: Engine, incident: Incident, course: DriftCourse, rules: AlertRules) -> IncidentFile:
    opened, end = course.opened, course.end
    window = opened and opened.day.isoformat()
    return IncidentFile(
        incident=incident,
        runs=len(course.days),
        verdicts=(),
        messages=tuple(Outbox(engine).listed(incident_id=incident.id)),
        opened_window=window,
        reference_window=None,
        resolved_window=end and end.day.isoformat(),
        recovers_at=None,
        links={"asset": asset_link(rules.ui_url, incident.feature, window, STEP)},
        drift=course,
    )


@contextmanager
def _open(engine: Engine, incident_id: int) -> Generator[tuple[Alerting, Incident], None, None]:
    """The incident as it is once nobody else can move it."""
    with alerting(engine) as tables:
        incident = tables.incidents.get(incident_id)
        if not incident.is_open:
            raise ConfigError(f"incident {incident_id} is {how_it_ended(incident)}; nothing was changed")
        yield tables, incident
