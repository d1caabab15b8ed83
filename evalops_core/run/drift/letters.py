"""What the mails say of drift incidents: the facts, read when a message is sent.

What belongs here: gathering them. What does not: other kinds of incidents (letters), wording and look (mail), which
days are an incident's (course).
"""

from datetime import datetime

from sqlalchemy import Connection, Engine

from evalops_core.domain.drift.day import DriftDay
from evalops_core.domain.incident import Incident
from evalops_core.mail.facts import DriftItem, DriftPoint, FarPrompt, ReminderItem, ResolvedItem
from evalops_core.run.alert_rules import AlertRules, FeatureAlerts
from evalops_core.run.drift.course import DriftCourse, days_until, drift_course
from evalops_core.run.drift.view import farthest_texts
from evalops_core.run.links import asset_link
from evalops_core.store.alerting import reading

STEP = "input_drift"  # the asset of a feature's drift
_DAYS = 30  # in the picture


def drift_fired(incident: Incident, engine: Engine, rules: AlertRules) -> DriftItem:
    """Of the day that opened it: what came later is no part of this mail."""
    alerts = rules.of(incident.feature)
    with reading(engine) as tables:
        day = drift_course(tables.connection, incident).opened
        points = _points(tables.connection, day) if day else ()
        farthest = _farthest(tables.connection, day, alerts) if day else ()
    return DriftItem(
        incident_id=incident.id,
        feature=incident.feature,
        day=day and day.day,
        drift=day and day.drift,
        threshold=day and day.threshold,
        rule=day and day.rule,
        alpha=day and day.alpha,
        days_in_a_row=day and day.streak,
        n=day and day.n,
        baseline_days=day.baseline_days if day else (),
        embedding_model=day and day.embedding_model,
        why=day.why if day else "",
        points=points,
        farthest=farthest,
        texts_included=alerts.shows_prompts,
        asset_url=_link(incident, rules, day),
    )


def drift_resolved(incident: Incident, engine: Engine, rules: AlertRules, now: datetime) -> ResolvedItem:
    course = _course(incident, engine)
    end = course.end
    return ResolvedItem(
        incident_id=incident.id,
        feature=incident.feature,
        model_id=None,
        kind="drift",
        window=end and end.day.isoformat(),
        reference=None,
        current=None,
        opened_at=incident.opened_at,
        resolved_at=incident.resolved_at or now,
        asset_url=_link(incident, rules, end),
        drift=end and end.drift,
        threshold=end and end.threshold,
        days=len(course.days) or None,
    )


def drift_reminded(incident: Incident, engine: Engine, rules: AlertRules) -> ReminderItem:
    course = _course(incident, engine)
    last = course.last
    return ReminderItem(
        incident_id=incident.id,
        feature=incident.feature,
        model_id=None,
        kind="drift",
        opened_at=incident.opened_at,
        reference=None,
        current=None,
        asset_url=_link(incident, rules, last),
        window=last and last.day.isoformat(),
        drift=last and last.drift,
        threshold=last and last.threshold,
        days=len(course.days) or None,
    )


def _course(incident: Incident, engine: Engine) -> DriftCourse:
    with reading(engine) as tables:
        return drift_course(tables.connection, incident)


def _points(connection: Connection, until: DriftDay) -> tuple[DriftPoint, ...]:
    return tuple(
        DriftPoint(day=day.day, drift=day.drift, threshold=day.threshold, state=day.state)
        for day in days_until(connection, until, _DAYS)
        if day.state is not None
    )


def _farthest(connection: Connection, day: DriftDay, alerts: FeatureAlerts) -> tuple[FarPrompt, ...]:
    """A trace that retention took has no text."""
    texts = farthest_texts(connection, day, alerts) or {}
    return tuple(
        FarPrompt(trace_id=far.trace_id, distance=far.distance, text=texts.get(far.trace_id)) for far in day.farthest
    )


def _link(incident: Incident, rules: AlertRules, day: DriftDay | None) -> str:
    return asset_link(rules.ui_url, incident.feature, day and day.day.isoformat(), STEP)
