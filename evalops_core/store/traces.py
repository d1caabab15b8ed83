"""Traces of production: written many at a time, found by feature and time, deleted when they are too old.

What belongs here: the statements. What does not: what may be stored of a trace (run.trace_rules), what is asked of a
day's traces (domain.drift).
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone

import orjson
from sqlalchemy import Connection, Engine, text

from evalops_core.domain.json import Json
from evalops_core.domain.trace import Trace
from evalops_core.store.names import names_in
from evalops_core.store.tables import LLM_TRACES


@dataclass(frozen=True, slots=True)
class StoredMessages:
    """A trace's id and what the model was given, as it was stored; None where that is huge, or cannot be read."""

    id: str
    messages: Json


@dataclass(frozen=True, slots=True)
class TracedFeature:
    """How many answered calls of a feature are stored, and when the first and the last of them was made."""

    feature: str
    traces: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Purged:
    """How many traces were deleted, and how many embeddings that were kept of days before."""

    traces: int
    embeddings: int


class Traces:
    """The table `llm_traces`. Over an engine every method is a transaction of its own (`purge` one for each batch) and
    may be called from any thread; over a connection all are within the transaction of the caller's."""

    def __init__(self, over: Engine | Connection) -> None:
        self._over = over

    def insert(self, traces: Sequence[Trace]) -> int:
        """How many of them were new; one whose id is stored already is left as it is."""
        if not traces:
            return 0
        columns = {
            "ids": [trace.id for trace in traces],
            "features": [trace.feature for trace in traces],
            "moments": [trace.created_at for trace in traces],
            "messages": [orjson.dumps(trace.messages).decode() for trace in traces],
            "models": [trace.model for trace in traces],
            "errors": [trace.error for trace in traces],
        }
        with self._begun() as connection:
            return connection.execute(_INSERT, columns).rowcount

    def newest(self, feature: str, start: datetime, end: datetime, limit: int) -> list[StoredMessages]:
        """The answered calls from `start` on and before `end`, newest first, at most `limit`."""
        given = {"feature": feature, "start": start, "end": end, "limit": limit}
        with self._begun() as connection, _by_the_index(connection):
            return [StoredMessages(row.id, _read(row.messages)) for row in connection.execute(_NEWEST, given)]

    def enough(self, feature: str, start: datetime, end: datetime, n: int) -> bool:
        """Whether there are at least `n` of those; reads no more than `n` rows."""
        given = {"feature": feature, "start": start, "end": end, "limit": n}
        with self._begun() as connection, _by_the_index(connection):
            return connection.execute(_COUNTED, given).scalar_one() >= n

    def first_since(self, feature: str, start: datetime) -> datetime | None:
        """When the feature's first call from `start` on that was answered was made; None where there is none."""
        with self._begun() as connection, _by_the_index(connection):
            return connection.execute(_FIRST, {"feature": feature, "start": start}).scalar_one_or_none()

    def texts(self, ids: Sequence[str]) -> Mapping[str, Json]:
        """Id → messages; without those that are not stored any more."""
        if not ids:
            return {}
        with self._begun() as connection:
            return {row.id: _read(row.messages) for row in connection.execute(_TEXTS, {"ids": list(ids)})}

    def summary(self) -> list[TracedFeature]:
        """Each feature with an answered call, by name. Calls that failed are not counted: no index holds them."""
        with self._begun() as connection:
            names = connection.scalars(names_in(LLM_TRACES.name, "error IS NULL")).all()
            rows = connection.execute(_SUMMARY, {"features": list(names)})
            return sorted((TracedFeature(*row) for row in rows), key=lambda found: found.feature)

    def purge(self, before: datetime, batch: int = 10_000) -> Purged:
        """Delete what was called before then, the oldest first, and the embeddings kept of days that were over by then.

        Other writers never wait longer than for one batch.
        """
        day = before.astimezone(timezone.utc).date()
        deleted = 0
        while True:
            with self._begun() as connection:
                found = connection.execute(_PURGE, {"before": before, "batch": batch}).rowcount
            deleted += found
            if not found:
                break
        with self._begun() as connection:
            return Purged(deleted, connection.execute(_PURGE_EMBEDDINGS, {"day": day}).rowcount)

    @contextmanager
    def _begun(self) -> Generator[Connection, None, None]:
        if isinstance(self._over, Connection):
            yield self._over
            return
        with self._over.begin() as connection:
            yield connection


def _read(messages: str | None) -> Json:
    """None for what cannot be read."""
    try:
        return None if messages is None else orjson.loads(messages)
    except orjson.JSONDecodeError:
        return None


@contextmanager
def _by_the_index(connection: Connection) -> Generator[None, None, None]:
    """Statements whose order an index has are read in it, for the time of the block.

    The planner would rather read all features' traces of that time in the order of the table, and sort: it takes them
    for neighbours on a disk. Where one feature of many is asked for, that reads far more than is asked for.
    """
    connection.execute(_SORTING, {"sorting": "off"})
    yield
    connection.execute(_SORTING, {"sorting": "on"})


_SORTING = text("""
    SELECT set_config('enable_sort', :sorting, true), set_config('enable_incremental_sort', :sorting, true)
""")

# In the order of the ids, so that two who store the same ones wait for each other, and never both.
_INSERT = text("""
    INSERT INTO evalops.llm_traces (id, feature, created_at, messages, model, error)
    SELECT id, feature, created_at, CAST(messages AS jsonb), model, error
    FROM unnest(
        CAST(:ids AS text[]), CAST(:features AS text[]), CAST(:moments AS timestamptz[]), CAST(:messages AS text[]),
        CAST(:models AS text[]), CAST(:errors AS text[])
    ) AS new (id, feature, created_at, messages, model, error)
    ORDER BY id
    ON CONFLICT (id) DO NOTHING
""")

_CHOSEN = """
    FROM evalops.llm_traces
    WHERE feature = :feature AND error IS NULL AND created_at >= :start AND created_at < :end
    ORDER BY created_at DESC, id DESC LIMIT :limit
"""
# As text, each row to be read by itself: what came by SQL may be JSON that no reader takes. Of a huge one, nothing.
_MESSAGES = "CASE WHEN pg_column_size(messages) < 4000000 THEN CAST(messages AS text) END AS messages"
_NEWEST = text(f"SELECT id, {_MESSAGES} {_CHOSEN}")  # a constant of ours
_COUNTED = text(f"SELECT count(*) FROM (SELECT id {_CHOSEN}) AS few")  # noqa: S608  # a constant of ours

_FIRST = text("""
    SELECT created_at FROM evalops.llm_traces
    WHERE feature = :feature AND error IS NULL AND created_at >= :start AND created_at < '9999-01-01'
    ORDER BY created_at LIMIT 1
""")
_TEXTS = text(f"SELECT id, {_MESSAGES} FROM evalops.llm_traces WHERE id = ANY(CAST(:ids AS text[]))")  # noqa: S608  # a constant of ours

# By name, so that the index alone is read, first and last at its ends.
_SUMMARY = text("""
    SELECT wanted.feature, counted.n, greatest(first.created_at, '0001-01-02'), least(last.created_at, '9999-01-01')
    FROM unnest(CAST(:features AS text[])) AS wanted (feature),
        LATERAL (
            SELECT count(*) AS n FROM evalops.llm_traces WHERE feature = wanted.feature AND error IS NULL
        ) AS counted,
        LATERAL (
            SELECT created_at FROM evalops.llm_traces WHERE feature = wanted.feature AND error IS NULL
            ORDER BY created_at, id LIMIT 1
        ) AS first,
        LATERAL (
            SELECT created_at FROM evalops.llm_traces WHERE feature = wanted.feature AND error IS NULL
            ORDER BY created_at DESC, id DESC LIMIT 1
        ) AS last
""")

# By their places, which spares finding each row a second time by its id; locked, so that none can move meanwhile.
_PURGE = text("""
    DELETE FROM evalops.llm_traces WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM evalops.llm_traces WHERE created_at < :before ORDER BY created_at LIMIT :batch FOR UPDATE
    ))
""")

_PURGE_EMBEDDINGS = text("""
    DELETE FROM evalops.drift_samples USING evalops.drift_centroids AS centroid
    WHERE centroid.id = centroid_id AND centroid.day < :day
""")
