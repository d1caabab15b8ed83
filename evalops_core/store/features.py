"""Features as the store knows them: which names have history, what there is of each, and a history's move to another.

What belongs here: statements within a transaction of the caller's. What does not: which names have a suite, what may be
renamed and when (run.feature_desk).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, Text, bindparam, func, select, text, update

from evalops_core.domain.incident import fingerprint
from evalops_core.store.names import names_in
from evalops_core.store.tables import (
    BASELINES,
    DRIFT_CENTROIDS,
    EVAL_RUNS,
    INCIDENTS,
    LLM_TRACES,
    SLIDES,
    SPEND,
    VERDICTS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A feature's trend in short. `runs` counts its valid scheduled runs; window (partition key) and score are the
    newest one's, None where there is none."""

    feature: str
    runs: int
    last_window: str | None
    last_score: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Everything under a feature's name. `runs` counts eval runs of either type and any status; the windows are the
    partition keys of the first and the last, None where there are none."""

    runs: int
    incidents: int
    first_window: str | None
    last_window: str | None


@dataclass(frozen=True, slots=True)
class SharedWindow:
    """A window of which two features have a scheduled run each that has not failed."""

    partition_key: str
    old_run: int
    new_run: int


class Features:
    """All tables that name a feature, within the transaction of `connection`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def evaluated(self) -> list[str]:
        """Those with an eval run of any type and status, by name."""
        return sorted(self._connection.scalars(names_in(EVAL_RUNS.name)))

    def known(self) -> list[str]:
        """Those with anything that people look for: eval runs, incidents, traces, drift; by name."""
        lists = (
            names_in(EVAL_RUNS.name),
            names_in(INCIDENTS.name),
            names_in(LLM_TRACES.name, "error IS NULL"),  # that is what the index holds
            names_in(DRIFT_CENTROIDS.name),
        )
        return sorted({name for names in lists for name in self._connection.scalars(names)})

    def standings(self, features: Sequence[str]) -> dict[str, Standing]:
        """Each of the features, those without runs included."""
        rows = self._connection.execute(_STANDINGS, {"features": list(features)}).mappings()
        return {row["feature"]: Standing(**row) for row in rows}

    def extent(self, feature: str) -> Extent:
        row = self._connection.execute(_EXTENT, {"feature": feature}).mappings().one()
        return Extent(**row)

    def shared_windows(self, old: str, new: str) -> list[SharedWindow]:
        """Oldest first."""
        return [SharedWindow(*row) for row in self._connection.execute(_SHARED, {"old": old, "new": new})]

    def carry_over(self, old: str, new: str, now: datetime) -> Mapping[str, int]:
        """Everything of `old` is `new`'s afterwards; how many rows that came to, by what people call them.

        Where both have a scheduled run of a window, the one of `old` becomes a manual one. What only one can have stays
        as `new` has it: pinned baseline, slide, a day's drift, the schedule's marks. IntegrityError where both have an
        open incident of the same kind and model. Words that were said before (a verdict's, a mail's) stay as they were.
        """
        counts = {"eval runs": _R.feature, "incidents": INCIDENTS.c.feature}
        of_old = {name: select(func.count()).where(column == old) for name, column in counts.items()}
        of_old["verdicts"] = select(func.count()).select_from(_JUDGED).where(_R.feature == old)
        carried = {name: self._connection.scalar(query) or 0 for name, query in of_old.items()}
        names = {"old": old, "new": new}
        for statement in _MAKE_ROOM:
            self._connection.execute(statement, names)
        if self._connection.scalar(select(func.count()).where(BASELINES.c.feature == new, _PINNED)):
            taken_back = update(BASELINES).where(BASELINES.c.feature == old, _PINNED)
            self._connection.execute(taken_back.values(unpinned_at=now))
        self._move_incidents(old, new)
        for table in (EVAL_RUNS, BASELINES, SLIDES, SPEND, LLM_TRACES, DRIFT_CENTROIDS):
            self._connection.execute(update(table).where(table.c.feature == old).values(feature=new))
        self._connection.execute(_MOVE_MARKS, names)
        return carried

    def _move_incidents(self, old: str, new: str) -> None:
        """An incident's fingerprint holds its feature's name."""
        found = self._connection.execute(select(_I.id, _I.kind, _I.model_id).where(_I.feature == old)).all()
        moved = [{"incident": row.id, "mark": fingerprint(row.kind, new, row.model_id)} for row in found]
        if moved:
            statement = update(INCIDENTS).where(_I.id == bindparam("incident"))
            self._connection.execute(statement.values(feature=new, fingerprint=bindparam("mark", type_=Text)), moved)


_R, _I = EVAL_RUNS.c, INCIDENTS.c
_JUDGED = VERDICTS.join(EVAL_RUNS, _R.id == VERDICTS.c.eval_run_id)
_PINNED = BASELINES.c.unpinned_at.is_(None)


_STANDINGS = text("""
    SELECT wanted.feature, counted.runs, last.partition_key AS last_window, last.score AS last_score
    FROM unnest(CAST(:features AS text[])) AS wanted (feature)
    CROSS JOIN LATERAL (
        SELECT count(*) AS runs FROM evalops.eval_runs
        WHERE feature = wanted.feature AND run_type = 'scheduled' AND status = 'completed'
    ) AS counted
    LEFT JOIN LATERAL (
        SELECT partition_key, score FROM evalops.eval_runs
        WHERE feature = wanted.feature AND run_type = 'scheduled' AND status = 'completed'
        ORDER BY window_start DESC, id DESC LIMIT 1
    ) AS last ON true
""")

_EXTENT = text("""
    SELECT count(*) AS runs,
        (SELECT count(*) FROM evalops.incidents WHERE feature = :feature) AS incidents,
        (array_agg(partition_key ORDER BY window_start, id))[1] AS first_window,
        (array_agg(partition_key ORDER BY window_start DESC, id DESC))[1] AS last_window
    FROM evalops.eval_runs WHERE feature = :feature
""")

_CLASH = """
    old.feature = :old AND old.run_type = 'scheduled' AND old.status <> 'failed'
    AND new.feature = :new AND new.run_type = 'scheduled' AND new.status <> 'failed'
    AND new.partition_key = old.partition_key
"""
_SHARED = text(f"""
    SELECT old.partition_key, old.id, new.id FROM evalops.eval_runs AS old, evalops.eval_runs AS new
    WHERE {_CLASH} ORDER BY old.window_start, old.id
""")  # noqa: S608  # a constant of ours

# What of the old name has no place beside the new one's own.
_MAKE_ROOM = (
    text(f"UPDATE evalops.eval_runs AS old SET run_type = 'manual' FROM evalops.eval_runs AS new WHERE {_CLASH}"),  # noqa: S608  # a constant of ours
    text("""
        DELETE FROM evalops.slides
        WHERE feature = :old AND EXISTS (SELECT FROM evalops.slides WHERE feature = :new)
    """),
    # a day that is decided before one that is not, or had too little
    text("""
        DELETE FROM evalops.drift_centroids AS new USING evalops.drift_centroids AS old
        WHERE old.feature = :old AND new.feature = :new
            AND new.day = old.day AND new.embedding_model = old.embedding_model
            AND old.state <> 'insufficient' AND (new.state IS NULL OR new.state = 'insufficient')
    """),
    text("""
        DELETE FROM evalops.drift_centroids AS old USING evalops.drift_centroids AS new
        WHERE old.feature = :old AND new.feature = :new
            AND new.day = old.day AND new.embedding_model = old.embedding_model
    """),
    text("""
        DELETE FROM evalops.deployment AS old USING evalops.deployment AS new
        WHERE split_part(old.key, ':', 2) = :old AND new.key = split_part(old.key, ':', 1) || ':' || :new
    """),
)

# Facts of a feature are kept as `what:feature`; a feature's name holds no colon.
_MOVE_MARKS = text("""
    UPDATE evalops.deployment SET key = split_part(key, ':', 1) || ':' || :new WHERE split_part(key, ':', 2) = :old
""")
