"""Traces in the table: written once, found by the index, deleted when they are old."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, insert, select, text

from evalops_core.domain.trace import Trace
from evalops_core.store.tables import DRIFT_CENTROIDS, DRIFT_SAMPLES
from evalops_core.store.traces import Purged, StoredMessages, TracedFeature, Traces

NOON = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ASKED = [{"role": "user", "content": "Wo ist „sie“ :x %(y)s? 🙂"}]


def trace(number: int, *, feature: str = "orders", at: datetime | None = None, error: str | None = None) -> Trace:
    moment = at or NOON + number * HOUR
    return Trace(id=f"t{number}", feature=feature, created_at=moment, messages=ASKED, model="gpt", error=error)


def ids(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(text("SELECT id FROM evalops.llm_traces ORDER BY created_at, id")))


@pytest.fixture
def traces(engine: Engine) -> Traces:
    return Traces(engine)


def test_a_trace_is_stored_once_as_it_came_first(engine: Engine, traces: Traces) -> None:
    other = Trace(id="t1", feature="returns", created_at=NOON, messages=[], model=None, error="late")
    assert traces.insert([trace(1), trace(2), other]) == 2
    assert traces.insert([other, trace(3)]) == 1
    assert traces.insert([]) == 0
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM evalops.llm_traces ORDER BY id")).mappings().all()
    assert [row["id"] for row in rows] == ["t1", "t2", "t3"]
    assert dict(rows[0]) == {
        "id": "t1",
        "feature": "orders",
        "created_at": NOON + HOUR,
        "messages": ASKED,
        "model": "gpt",
        "error": None,
    }


def test_the_newest_are_the_answered_ones_of_the_feature_within_the_time(traces: Traces) -> None:
    tie = [trace(10, at=NOON), trace(11, at=NOON)]
    traces.insert([*map(trace, range(5)), *tie, trace(20, error="late"), trace(21, feature="returns")])
    found = traces.newest("orders", NOON, NOON + 4 * HOUR, 5)
    assert [row.id for row in found] == ["t3", "t2", "t1", "t11", "t10"]
    assert found[0] == StoredMessages("t3", ASKED)
    assert [row.id for row in traces.newest("orders", NOON, NOON + 4 * HOUR, 2)] == ["t3", "t2"]
    assert traces.newest("nobody", NOON, NOON + DAY, 2) == []


def test_there_are_enough_where_there_are_as_many(traces: Traces) -> None:
    traces.insert([*map(trace, range(5)), trace(20, error="late")])
    assert traces.enough("orders", NOON, NOON + DAY, 5)
    assert not traces.enough("orders", NOON, NOON + DAY, 6)
    assert not traces.enough("orders", NOON, NOON + 4 * HOUR, 5)
    assert traces.enough("nobody", NOON, NOON + DAY, 0)


def test_texts_are_found_by_id(traces: Traces) -> None:
    traces.insert([trace(1), trace(2)])
    assert traces.texts(["t2", "gone"]) == {"t2": ASKED}
    assert traces.texts([]) == {}


def test_features_are_summed_up_without_calls_that_failed(traces: Traces) -> None:
    assert traces.summary() == []
    more = [trace(20, error="late"), trace(21, feature="returns"), trace(22, feature="failing", error="late")]
    traces.insert([*map(trace, range(3)), *more])
    assert traces.summary() == [
        TracedFeature("orders", 3, NOON, NOON + 2 * HOUR),
        TracedFeature("returns", 1, NOON + 21 * HOUR, NOON + 21 * HOUR),
    ]


def test_within_a_transaction_of_the_caller_s_everything_is_undone_with_it(engine: Engine) -> None:
    with engine.connect() as connection:
        within = Traces(connection)
        assert within.insert([trace(1), trace(2)]) == 2
        assert within.purge(NOON + 2 * HOUR) == Purged(1, 0)
        assert within.enough("orders", NOON, NOON + DAY, 1)
        assert connection.scalar(text("SHOW enable_sort")) == "on", "nothing of that is left to the caller's statements"
        connection.rollback()
    assert ids(engine) == []


def test_what_is_older_is_deleted_a_batch_at_a_time(engine: Engine, traces: Traces) -> None:
    traces.insert([*map(trace, range(7)), trace(8, at=NOON - DAY, error="late")])
    begun: list[Connection] = []
    event.listen(engine, "begin", begun.append)
    assert traces.purge(NOON + 5 * HOUR, batch=2) == Purged(6, 0)
    assert len(begun) == 5, "three batches, an empty one, the embeddings"
    assert ids(engine) == ["t5", "t6"]
    assert traces.purge(NOON) == Purged(0, 0)


def test_embeddings_of_days_before_are_deleted_and_what_was_decided_of_them_stays(
    engine: Engine, traces: Traces
) -> None:
    with engine.begin() as connection:
        for day in (22, 23, 24):
            values = {"feature": "orders", "day": date(2026, 11, day), "embedding_model": "m", "n": 2}
            key = connection.execute(
                insert(DRIFT_CENTROIDS).values(values).returning(DRIFT_CENTROIDS.c.id)
            ).scalar_one()
            samples = [{"centroid_id": key, "trace_id": name, "vector": b"0000"} for name in ("a", "b")]
            connection.execute(insert(DRIFT_SAMPLES), samples)
    assert traces.purge(NOON) == Purged(0, 4)
    with engine.connect() as connection:
        joined = DRIFT_SAMPLES.join(DRIFT_CENTROIDS, DRIFT_CENTROIDS.c.id == DRIFT_SAMPLES.c.centroid_id)
        assert set(connection.scalars(select(DRIFT_CENTROIDS.c.day).select_from(joined))) == {date(2026, 11, 24)}
        assert len(connection.scalars(select(DRIFT_CENTROIDS.c.day)).all()) == 3


@pytest.fixture
def crowd(engine: Engine) -> Engine:
    """A hundred thousand traces of four features within a hundred days; every tenth of them failed."""
    with engine.begin() as connection:
        connection.execute(text(_CROWD))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE evalops.llm_traces"))
    return engine


def test_the_newest_of_very_many_cost_no_more_than_they_are(crowd: Engine) -> None:
    traces = Traces(crowd)
    with explained(crowd) as plans:
        assert len(traces.newest("f1", NOON - 7 * DAY, NOON, 500)) == 500
        assert traces.enough("f1", NOON - 7 * DAY, NOON, 200)
        assert len(traces.newest("f1", NOON - 100 * DAY, NOON, 500)) == 500
    chosen = [plan for plan in plans if plan["Node Type"] != "Result"]  # those are settings
    for plan, limit in zip(chosen, (500, 200, 500), strict=True):
        kinds = {node["Node Type"] for node in nodes(plan)}
        assert not kinds & {"Sort", "Incremental Sort", "Seq Scan", "Bitmap Heap Scan"}
        (scan,) = [node for node in nodes(plan) if "Index Name" in node]
        assert scan["Index Name"] == "ix_llm_traces_sample"
        assert scan["Actual Rows"] <= limit
        assert scan.get("Rows Removed by Filter", 0) == 0


def test_of_very_many_the_old_are_found_by_their_time(crowd: Engine) -> None:
    with explained(crowd) as plans:
        assert Traces(crowd).purge(NOON - 99 * DAY).traces == 1000
    (first, *_) = plans
    used = [node.get("Index Name") for node in nodes(first)]
    assert "ix_llm_traces_created_at" in used
    assert "Seq Scan" not in {node["Node Type"] for node in nodes(first)}


class explained:  # noqa: N801 - used like a function
    """The plans of the statements that are executed meanwhile, each carried out by EXPLAIN first and then undone."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.plans = engine, list[Any]()

    def __enter__(self) -> list[Any]:
        event.listen(self._engine, "before_cursor_execute", self._explain)
        return self.plans

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._explain)

    def _explain(self, _: Any, cursor: Any, statement: str, parameters: Any, *__: Any) -> None:
        cursor.execute("SAVEPOINT explained")
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
        self.plans.append(cursor.fetchone()[0][0]["Plan"])
        cursor.execute("ROLLBACK TO SAVEPOINT explained")


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from nodes(inner)


_CROWD = """
    INSERT INTO evalops.llm_traces (id, feature, created_at, messages, error)
    SELECT 'c' || number, 'f' || number % 4, TIMESTAMPTZ '2026-11-24 12:00Z' - number * interval '86.4 s',
        '[{"role": "user", "content": "Where is it?"}]', CASE WHEN number % 10 = 0 THEN 'late' END
    FROM generate_series(1, 100000) AS number
"""
