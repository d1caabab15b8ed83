"""Days of drift as rows: what was sampled of each, what was decided, and the vectors of both.

What belongs here: statements within a transaction of the caller's. What does not: the decision (domain.drift), what was
asked (traces), who is told (incidents, outbox).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Connection, Select, and_, delete, func, null, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import RowMapping

from evalops_core.domain.drift.day import DriftDay, Far
from evalops_core.domain.drift.decide import Decision
from evalops_core.store.names import names_in
from evalops_core.store.tables import DRIFT_CENTROIDS, DRIFT_SAMPLES, INCIDENTS

if TYPE_CHECKING:  # the ticks of sensors read days without their vectors, and numpy takes its time to import
    import numpy as np
    from numpy.typing import NDArray

_D, _S = DRIFT_CENTROIDS.c, DRIFT_SAMPLES.c
_STORED_AS = "<f4"


class DriftDays:
    """The tables `drift_centroids` and `drift_samples`, within the transaction of `connection`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, feature: str, day: date, embedding_model: str) -> DriftDay | None:
        found = self._all(_days().where(_D.feature == feature, _D.day == day, _D.embedding_model == embedding_model))
        return found[0] if found else None

    def keep(
        self,
        feature: str,
        day: date,
        embedding_model: str,
        *,
        n: int,
        n_malformed: int,
        centroid: "NDArray[np.float64] | None",
        sample: "Mapping[str, NDArray[np.float32]]",
    ) -> DriftDay:
        """The day's row afterwards. A centroid that is there stays as it is; a day that had too little gets a new look
        where there is more now.

        `sample` maps ids of traces to their vectors.
        """
        values = {
            "n": n,
            "n_malformed": n_malformed,
            "centroid": null() if centroid is None else centroid.tolist(),
        }
        anew = {"state": None, "decided_at": None, "why": "", "created_at": func.now()}
        added = insert(DRIFT_CENTROIDS).values(feature=feature, day=day, embedding_model=embedding_model, **values)
        new = added.excluded
        statement = added.on_conflict_do_update(
            index_elements=[_D.feature, _D.day, _D.embedding_model],
            set_={**values, **anew},
            where=and_(_D.centroid.is_(None), or_(new.centroid.is_not(None), new.n > _D.n)),
        ).returning(_D.id)
        row = self._connection.execute(statement).scalar_one_or_none()
        if row is not None:
            self._connection.execute(delete(DRIFT_SAMPLES).where(_S.centroid_id == row))
            if sample:
                rows = [
                    {"centroid_id": row, "trace_id": trace, "vector": vector.astype(_STORED_AS).tobytes()}
                    for trace, vector in sample.items()
                ]
                self._connection.execute(insert(DRIFT_SAMPLES), rows)
        kept = self.get(feature, day, embedding_model)
        assert kept is not None, "it was inserted above, or was there"  # noqa: S101  # tells the type checker
        return kept

    def decide(self, day_id: int, found: Decision, now: datetime, incident_id: int | None) -> DriftDay:
        """The day as it is then."""
        values = {
            **{
                name: getattr(found, name) for name in ("state", "streak", "drift", "threshold", "rule", "alpha", "why")
            },
            "baseline_days": list(found.baseline_days),
            "farthest": [asdict(far) for far in found.farthest],
            "decided_at": now,
            "incident_id": incident_id,
        }
        self._connection.execute(update(DRIFT_CENTROIDS).where(_D.id == day_id).values(**values))
        return self._all(_days().where(_D.id == day_id))[0]

    def before(self, feature: str, day: date, embedding_model: str) -> list[DriftDay]:
        """All decided days before `day`, oldest first."""
        query = _days().where(
            _D.feature == feature, _D.day < day, _D.embedding_model == embedding_model, _D.state.is_not(None)
        )
        return self._all(query.order_by(_D.day))

    def is_newest(self, of: DriftDay) -> bool:
        """Whether no later day of the feature says anything, with whatever embedding model."""
        says = _D.state != "insufficient"  # nor is one that is not decided
        later = select(_D.id).where(_D.feature == of.feature, _D.day > of.day, says).limit(1)
        return self._connection.execute(later).first() is None

    def centroids(self, day_ids: Collection[int]) -> "dict[int, NDArray[np.float64]]":
        """Of the days that have one, by id."""
        import numpy as np

        query = select(_D.id, _D.centroid).where(_D.id.in_(list(day_ids)), _D.centroid.is_not(None))
        return {row.id: np.asarray(row.centroid, np.float64) for row in self._connection.execute(query)}

    def samples(self, day_ids: Collection[int]) -> "dict[int, dict[str, NDArray[np.float32]]]":
        """Day → trace → vector, of what retention has left."""
        import numpy as np

        query = select(DRIFT_SAMPLES).where(_S.centroid_id.in_(list(day_ids))).order_by(_S.centroid_id, _S.trace_id)
        found: dict[int, dict[str, NDArray[np.float32]]] = {}
        for row in self._connection.execute(query):
            found.setdefault(row.centroid_id, {})[row.trace_id] = np.frombuffer(row.vector, _STORED_AS)
        return found

    def recent(self, feature: str, limit: int, since: date | None = None) -> list[DriftDay]:
        """Newest first, by the embedding model that was used last."""
        last = select(_D.embedding_model).where(_D.feature == feature).order_by(_D.day.desc(), _D.id.desc()).limit(1)
        query = _days().where(_D.feature == feature, _D.embedding_model == last.scalar_subquery())
        if since is not None:
            query = query.where(_D.day >= since)
        return self._all(query.order_by(_D.day.desc()).limit(limit))

    def of_incident(self, incident_id: int) -> list[DriftDay]:
        """Oldest first: the day that opened it, and those it lasted for; the one that ended it is not among them."""
        return self._all(_days().where(_D.incident_id == incident_id).order_by(_D.day))

    def of_incidents(self, incident_ids: Collection[int]) -> dict[int, list[DriftDay]]:
        """The same of many, by incident; those without a day are left out."""
        found: dict[int, list[DriftDay]] = {}
        for day in self._all(_days().where(_D.incident_id.in_(list(incident_ids))).order_by(_D.day)):
            assert day.incident_id is not None, "it was asked for"  # noqa: S101  # tells the type checker
            found.setdefault(day.incident_id, []).append(day)
        return found

    def features(self) -> list[str]:
        """Those with any day, by name."""
        return list(self._connection.scalars(names_in(DRIFT_CENTROIDS.name)))

    def seen(self, feature: str, embedding_model: str, since: date) -> Sequence[date]:
        """The days from `since` on that are decided."""
        of = (_D.feature == feature, _D.embedding_model == embedding_model, _D.day >= since, _D.state.is_not(None))
        return list(self._connection.scalars(select(_D.day).where(*of)))

    def _all(self, query: Select[Any]) -> list[DriftDay]:
        return [_day(row) for row in self._connection.execute(query).mappings()]


def _days() -> Select[Any]:
    columns = [column for column in DRIFT_CENTROIDS.c if column.name not in ("centroid", "created_at")]
    ended = INCIDENTS.c.resolution.label("incident_resolution")
    return select(*columns, _D.centroid.is_not(None).label("has_centroid"), ended).outerjoin(
        INCIDENTS, INCIDENTS.c.id == _D.incident_id
    )


def _day(row: RowMapping) -> DriftDay:
    values = {str(key): value for key, value in row.items()}
    values["baseline_days"] = tuple(values["baseline_days"])
    values["farthest"] = tuple(Far(**far) for far in cast("list[dict[str, Any]]", values["farthest"]))
    return DriftDay(**values)
