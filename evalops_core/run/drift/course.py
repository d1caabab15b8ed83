"""A drift incident's days, which hold all that is known of it.

What belongs here: finding them. What does not: what is said of them (letters, incident_desk), when they open or
end an incident (domain.incident).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import Connection

from evalops_core.domain.drift.day import DriftDay
from evalops_core.domain.incident import Incident
from evalops_core.store.drift import DriftDays


@dataclass(frozen=True, slots=True)
class DriftCourse:
    """`days` are those that opened it and that it lasted for, oldest first; none where their rows are gone.

    `end` is the day within the threshold that ended it, None while it is open, where a person accepted it, and where
    that day is not known: the feature's inputs were embedded by another model by then.
    """

    days: tuple[DriftDay, ...] = ()
    end: DriftDay | None = None

    @property
    def opened(self) -> DriftDay | None:
        return self.days[0] if self.days else None

    @property
    def last(self) -> DriftDay | None:
        """The last day that was compared with anything."""
        return next((day for day in reversed(self.days) if day.drift is not None), None)


def drift_course(connection: Connection, incident: Incident) -> DriftCourse:
    """Of one incident; without days where it is of another kind."""
    stored = DriftDays(connection)
    days = stored.of_incident(incident.id)
    if not days or incident.resolution != "recovered":
        return DriftCourse(tuple(days))
    of_model = stored.before(incident.feature, date.max, days[-1].embedding_model)
    later = (day for day in of_model if day.day > days[-1].day and day.state == "ok")
    return DriftCourse(tuple(days), next(later, None))


def drift_courses(connection: Connection, incidents: Collection[Incident]) -> Mapping[int, DriftCourse]:
    """Of those that are of a drift, by id and without `end`."""
    ids = [incident.id for incident in incidents if incident.kind == "drift"]
    found = DriftDays(connection).of_incidents(ids) if ids else {}
    return {incident: DriftCourse(tuple(found.get(incident, ()))) for incident in ids}


def days_until(connection: Connection, last: DriftDay, number: int) -> list[DriftDay]:
    """The decided ones of the `number` days that end with `last`, oldest first; those that are missing are left out."""
    before = DriftDays(connection).before(last.feature, last.day, last.embedding_model)
    return [*(day for day in before if last.day - day.day < timedelta(days=number)), last]
