"""Incidents as rows: opened, moved, closed, and what people say of them.

What belongs here: statements within a transaction of the caller's. What does not: when an incident opens or recovers
(domain.incident), who is told (outbox). At most one incident of a fingerprint is open, by a unique index.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Select, Update, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import RowMapping

from evalops_core.domain.incident import Incident, Kind, Resolution, State, fingerprint, is_silent
from evalops_core.errors import ConfigError
from evalops_core.store.names import names_in
from evalops_core.store.storable import storable
from evalops_core.store.tables import DEPLOYMENT, INCIDENTS, INCIDENTS_OPEN, VERDICTS

_I = INCIDENTS.c
# In `deployment`, by feature: since when its schedule is watched, and when it last was.
_WATCHED, _SEEN = "watched_since:", "watched_at:"


class Incidents:
    """The table `incidents`, within the transaction of `connection`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def open_one(
        self,
        kind: Kind,
        feature: str,
        model_id: str | None,
        now: datetime,
        *,
        run_id: int | None = None,
        reference: Decimal | None = None,
        reference_run_id: int | None = None,
        current: Decimal | None = None,
    ) -> Incident | None:
        """The new incident; None where one of its fingerprint is open.

        It is born silent where its predecessor was silenced for longer than it lived.
        """
        mark = fingerprint(kind, feature, model_id)
        silenced_until = self._connection.execute(
            select(_I.silenced_until).where(_I.fingerprint == mark).order_by(_I.id.desc()).limit(1)
        ).scalar_one_or_none()
        silent = is_silent(silenced_until, now)
        state: State = "silenced" if silent else "firing"
        statement = (
            insert(INCIDENTS)
            .values(
                fingerprint=mark,
                kind=kind,
                feature=feature,
                model_id=model_id,
                state=state,
                silenced_until=silenced_until if silent else None,
                opened_by_run_id=run_id,
                reference_score=reference,
                reference_run_id=reference_run_id,
                current_score=current,
                lowest_score=current,
                opened_at=now,
            )
            .on_conflict_do_nothing(index_elements=[_I.fingerprint], index_where=INCIDENTS_OPEN)
            .returning(INCIDENTS)
        )
        row = self._connection.execute(statement).mappings().one_or_none()
        return None if row is None else _incident(row)

    def standing(self, kind: Kind, feature: str, model_id: str | None = None) -> Incident | None:
        """The open one of a fingerprint."""
        mark = fingerprint(kind, feature, model_id)
        return self._one(select(INCIDENTS).where(_I.fingerprint == mark, INCIDENTS_OPEN))

    def get(self, incident_id: int) -> Incident:
        """ConfigError, which says how to list them, where there is no such incident."""
        found = self._one(select(INCIDENTS).where(_I.id == incident_id))
        if found is None:
            raise ConfigError(
                f"there is no incident {incident_id}; `evalops incidents list --all` shows those there are"
            )
        return found

    def listed(
        self, *, feature: str | None = None, only_open: bool = True, kinds: Collection[Kind] = (), limit: int = 100
    ) -> list[Incident]:
        """Newest first."""
        query = select(INCIDENTS).order_by(_I.id.desc()).limit(limit)
        if only_open:
            query = query.where(INCIDENTS_OPEN)
        if feature is not None:
            query = query.where(_I.feature == feature)
        if kinds:
            query = query.where(_I.kind.in_(list(kinds)))
        return [_incident(row) for row in self._connection.execute(query).mappings()]

    def runs_seen(self, incident_ids: Collection[int]) -> Mapping[int, int]:
        """How many judged runs each of those lasted for, the one that opened it included, for those that have any."""
        seen = VERDICTS.c.incident_id
        query = select(seen, func.count()).where(seen.in_(list(incident_ids))).group_by(seen)
        return {row[0]: row[1] for row in self._connection.execute(query)}

    def features(self) -> list[str]:
        """Those that have or had an incident, by name."""
        return list(self._connection.scalars(names_in(INCIDENTS.name)))

    def goes_on(self, incident_id: int, current: Decimal) -> Incident:
        return self._changed(
            incident_id,
            current_score=current,
            lowest_score=func.least(func.coalesce(_I.lowest_score, current), current),
        )

    def close(
        self,
        incident_id: int,
        resolution: Resolution,
        now: datetime,
        *,
        run_id: int | None = None,
        current: Decimal | None = None,
        reason: str | None = None,
        by: str | None = None,
    ) -> Incident:
        values: dict[str, Any] = {
            "state": "resolved",
            "resolved_at": now,
            "resolution": resolution,
            "resolved_by_run_id": run_id,
            "reason": storable(reason),
            "closed_by": storable(by),
        }
        if current is not None:
            values["current_score"] = current
        return self._changed(incident_id, **values)

    def acknowledge(self, incident_id: int, by: str, now: datetime) -> Incident:
        return self._changed(incident_id, acknowledged_at=now, acknowledged_by=storable(by))

    def silence(self, incident_id: int, until: datetime) -> Incident:
        return self._changed(incident_id, silenced_until=until, state="silenced")

    def unsilence(self, incident_id: int) -> Incident:
        return self._changed(incident_id, silenced_until=None, state="firing")

    def reminded(self, incident_id: int, now: datetime) -> Incident:
        return self._changed(incident_id, reminded_at=now)

    def watched_since(self, features: Collection[str], now: datetime) -> Mapping[str, datetime]:
        """Since when each feature's schedule is watched: `now` for those that were not before."""
        keys = {f"{_WATCHED}{feature}": feature for feature in features}
        if not keys:
            return {}
        value = now.isoformat()
        since = [{"key": key, "value": value} for key in sorted(keys)]
        seen = [{"key": f"{_SEEN}{feature}", "value": value} for feature in sorted(features)]
        key = DEPLOYMENT.c.key
        self._connection.execute(insert(DEPLOYMENT).values(since).on_conflict_do_nothing(index_elements=[key]))
        noted = insert(DEPLOYMENT).values(seen)
        self._connection.execute(
            noted.on_conflict_do_update(index_elements=[key], set_={"value": noted.excluded.value})
        )
        query = select(key, DEPLOYMENT.c.value).where(key.in_(list(keys)))
        return {keys[row.key]: datetime.fromisoformat(row.value) for row in self._connection.execute(query)}

    def watched_at(self, feature: str) -> datetime | None:
        """Since when the feature's schedule is watched; None where it never was on."""
        return self._fact(f"{_WATCHED}{feature}")

    def last_watched(self, feature: str) -> datetime | None:
        """When any deployment last saw the feature's schedule on; None where none ever has."""
        return self._fact(f"{_SEEN}{feature}")

    def _fact(self, key: str) -> datetime | None:
        value = self._connection.execute(select(DEPLOYMENT.c.value).where(DEPLOYMENT.c.key == key)).scalar_one_or_none()
        return None if value is None else datetime.fromisoformat(value)

    def _changed(self, incident_id: int, **values: Any) -> Incident:
        statement: Update = update(INCIDENTS).where(_I.id == incident_id).values(**values)
        row = self._connection.execute(statement.returning(INCIDENTS)).mappings().one()
        return _incident(row)

    def _one(self, query: Select[Any]) -> Incident | None:
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else _incident(row)


def _incident(row: RowMapping) -> Incident:
    values = {str(key): value for key, value in row.items() if key != "fingerprint"}
    for name in ("reference", "current", "lowest"):
        values[name] = values.pop(f"{name}_score")
    return Incident(**values)
