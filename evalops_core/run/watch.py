"""What changes with time alone: data that does not come, silences that end, incidents to be brought to mind.

What belongs here: looking for those, in one transaction. What does not: when each of them is so (domain.incident).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from evalops_core.domain.incident import Incident, is_silent, lacks_data, wants_reminder
from evalops_core.run.alert_rules import AlertRules
from evalops_core.run.owed import Owed
from evalops_core.store.alerting import Alerting, alerting
from evalops_core.store.outbox import enqueue, told

_OPEN_AT_MOST = 1000


@dataclass(frozen=True, slots=True)
class Watched:
    """`lacking` are the features without valid data, those told of before included."""

    lacking: tuple[str, ...]
    opened: int
    messages: int


def watch(engine: Engine, rules: AlertRules, now: datetime, *, scheduled: Mapping[str, datetime]) -> Watched:
    """Look once. `scheduled` maps the features whose schedule is on to since when it is on; they need a suite."""
    owed = Owed()
    lacking: list[str] = []
    opened = 0
    with alerting(engine) as tables:
        last = tables.verdicts.last_valid(sorted(scheduled))
        watched = tables.incidents.watched_since(scheduled, now)
        for feature, on_since in sorted(scheduled.items()):
            suite = rules.of(feature).suite
            since = max(on_since, watched[feature])
            if suite is None or not lacks_data(now, suite.interval_hours, last.get(feature), since):
                continue
            lacking.append(feature)
            incident = tables.incidents.open_one("no_data", feature, None, now)
            if incident is not None:
                opened += 1
                owed.fires("no data", incident, rules.of(feature).recipients)
        messages = 0
        for incident in tables.incidents.listed(limit=_OPEN_AT_MOST):
            if incident.state == "silenced" and not is_silent(incident.silenced_until, now):
                loud = tables.incidents.unsilence(incident.id)
                if not told(tables.connection, incident.id):  # it began in silence
                    owed.fires("silence is over", loud, rules.of(incident.feature).recipients)
            elif incident.kind == "no_data" and _is_abandoned(incident, rules, tables, now):
                why = "no deployment has had its schedule on for 1.5 intervals"
                tables.incidents.close(incident.id, "accepted", now, reason=why, by="incident_watch_sensor")
            elif rules.of(incident.feature).reminder and wants_reminder(incident, now):
                messages += _remind(incident, rules, tables, now)
        messages += owed.write(tables, now)
    return Watched(tuple(lacking), opened, messages)


def _is_abandoned(incident: Incident, rules: AlertRules, tables: Alerting, now: datetime) -> bool:
    """Whether nobody waits for the data any more: the schedule is off everywhere, or the feature is gone."""
    suite = rules.of(incident.feature).suite
    seen = tables.incidents.last_watched(incident.feature) or incident.opened_at
    return lacks_data(now, suite.interval_hours if suite else 24, None, seen)


def _remind(incident: Incident, rules: AlertRules, tables: Alerting, now: datetime) -> int:
    tables.incidents.reminded(incident.id, now)
    day = f"{now:%Y-%m-%d}"
    made = [
        enqueue(tables.connection, "reminder", recipient, [incident.id], now, day=day)
        for recipient in rules.of(incident.feature).recipients
    ]
    return sum(message is not None for message in made)
