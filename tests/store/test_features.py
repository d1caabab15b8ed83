"""Features' names in the store, and the move of a history from one to another."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Table, event, insert, select, text

from evalops_core.domain.incident import fingerprint
from evalops_core.store.baselines import Baselines
from evalops_core.store.features import Extent, Features, SharedWindow, Standing
from evalops_core.store.incidents import Incidents
from evalops_core.store.outbox import enqueue
from evalops_core.store.statistics import Statistics
from evalops_core.store.tables import (
    DRIFT_CENTROIDS,
    EVAL_RUNS,
    INCIDENTS,
    LLM_TRACES,
    METADATA,
    OUTBOX,
    SLIDES,
    SPEND,
    VERDICTS,
)
from tests.run.scored import NOW, Scored

OLD, NEW = "old_name", "new_name"


@pytest.fixture
def scored(engine: Engine) -> Scored:
    return Scored(engine)


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.begin() as opened:
        yield opened


def everything_of(connection: Connection, scored: Scored, feature: str, *, first_day: int = 0) -> list[int]:
    """A row of the feature in every table that can hold one; the ids of its two runs."""
    runs = scored.runs(["4.000", "3.000"], first_day=first_day, feature=feature, answers={"a": ("yes", 4.0)})
    ids = [run.id for run in runs]
    Baselines(connection).pin(runs[0], "shipped", "ann", NOW)
    incident = Incidents(connection).open_one("regression", feature, "small-1", NOW, run_id=ids[1])
    assert incident is not None
    Incidents(connection).watched_since([feature], NOW)
    enqueue(connection, "firing", "team@example.com", [incident.id], NOW)
    Statistics(connection).keep_slide(feature, ids[1], {"of": first_day})
    verdict = {"eval_run_id": ids[1], "outcome": "regressed", "incident_id": incident.id}
    spent = {"purpose": "judge", "model": "m", "day": NOW.date(), "eval_run_id": ids[0]}
    rows: list[tuple[Table, dict[str, Any]]] = [
        (VERDICTS, verdict),
        (SPEND, {**spent, "feature": feature}),
        (LLM_TRACES, {"id": f"trace-{first_day}", "feature": feature, "messages": []}),
        (DRIFT_CENTROIDS, {"feature": feature, "day": NOW.date(), "embedding_model": "e", "n": first_day + 1}),
    ]
    for table, values in rows:
        connection.execute(insert(table).values(values))
    return ids


def tables_that_name_a_feature() -> list[Table]:
    return [table for table in METADATA.sorted_tables if "feature" in table.c]


def naming(connection: Connection, name: str) -> set[str]:
    """The tables with a row in which the name stands, in whatever column, a JSON document's inside included."""
    every = (table.fullname for table in METADATA.sorted_tables)
    found = {
        name: connection.execute(
            text(f"SELECT count(*) FROM {name} AS row WHERE CAST(row AS text) LIKE :name"),  # noqa: S608  # our tables
            {"name": f"%{OLD}%"},
        ).scalar_one()
        for name in every
    }
    return {table for table, rows in found.items() if rows}


def test_the_names_with_eval_runs_are_found_whatever_became_of_the_runs(scored: Scored, connection: Connection) -> None:
    assert Features(connection).evaluated() == []
    scored.runs(["4.000", "4.100"], feature="orders")
    scored.run(0, None, feature="explain", status="failed")
    scored.run(0, "4.000", feature="by_hand", run_type="manual")
    assert Features(connection).evaluated() == ["by_hand", "explain", "orders"]


def test_a_name_is_known_by_an_incident_a_trace_or_its_drift_alone(scored: Scored, connection: Connection) -> None:
    scored.run(0, "4.000", feature="orders")
    Incidents(connection).open_one("no_data", "silent", None, NOW)
    connection.execute(insert(LLM_TRACES).values(id="t", feature="traced", messages=[]))
    connection.execute(insert(DRIFT_CENTROIDS).values(feature="drifting", day=NOW.date(), embedding_model="e", n=1))
    assert Features(connection).known() == ["drifting", "orders", "silent", "traced"]
    assert Features(connection).evaluated() == ["orders"]


def test_the_names_are_found_by_index_and_not_by_reading_every_run(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(_TWENTY_THOUSAND))
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE evalops.eval_runs"))
        event.listen(engine, "before_cursor_execute", note)
        try:
            assert Features(connection).evaluated() == sorted(f"feature-{number}" for number in range(20))
        finally:
            event.remove(engine, "before_cursor_execute", note)
        (statement,) = statements
        plan = "\n".join(connection.execute(text(f"EXPLAIN (ANALYZE) {statement}")).scalars())
    assert "Seq Scan" not in plan, plan
    assert "Index Only Scan" in plan, plan
    assert not re.search(r"rows=\d{3,}(\.\d+)? loops", plan), plan  # one row a step, of 20,000


_TWENTY_THOUSAND = """
    INSERT INTO evalops.eval_runs (feature, window_start, window_end, partition_key, comparability,
        comparability_key, plan_key, status, finished_at)
    SELECT 'feature-' || n % 20, '2026-01-01', '2026-01-02', 'day-' || n, '{}', 'k', 'k', 'completed', '2026-01-02'
    FROM generate_series(1, 20000) AS n
"""


def test_a_standing_is_of_the_valid_scheduled_runs(scored: Scored, connection: Connection) -> None:
    scored.run(3, "4.300", feature="orders")
    scored.run(1, "4.100", feature="orders")
    scored.run(5, "1.000", feature="orders", run_type="manual")
    scored.run(6, "1.000", feature="orders", status="invalid")
    found = Features(connection).standings(["orders", "none"])
    assert found == {
        "orders": Standing(feature="orders", runs=2, last_window="2026-11-04", last_score=Decimal("4.300")),
        "none": Standing(feature="none", runs=0, last_window=None, last_score=None),
    }


def test_an_extent_is_of_everything(scored: Scored, connection: Connection) -> None:
    scored.run(3, "4.300", feature="orders")
    scored.run(5, None, feature="orders", run_type="manual", status="failed")
    Incidents(connection).open_one("no_data", "orders", None, NOW)
    found = Features(connection).extent("orders")
    assert found == Extent(runs=2, incidents=1, first_window="2026-11-04", last_window="2026-11-06")
    assert Features(connection).extent("none") == Extent(runs=0, incidents=0, first_window=None, last_window=None)


def test_no_table_is_forgotten_and_nothing_of_the_old_name_is_left(scored: Scored, connection: Connection) -> None:
    ids = everything_of(connection, scored, OLD)
    for table in tables_that_name_a_feature():
        names = set(connection.execute(select(table.c.feature)).scalars())
        assert names == {OLD}, f"give {table.name} a row in everything_of, and say in store.features how it is renamed"
    before = {table: _count(connection, table) for table in METADATA.sorted_tables}
    carried = Features(connection).carry_over(OLD, NEW, NOW)
    assert carried == {"eval runs": 2, "incidents": 1, "verdicts": 1}
    assert naming(connection, OLD) == set()
    for table in tables_that_name_a_feature():
        assert set(connection.execute(select(table.c.feature)).scalars()) == {NEW}
    assert {table: _count(connection, table) for table in METADATA.sorted_tables} == before
    pinned = Baselines(connection).pinned(NEW)
    assert pinned is not None
    assert pinned.id == ids[0]
    assert Statistics(connection).slide(NEW) == {"of": 0}
    assert Incidents(connection).watched_at(NEW) == Incidents(connection).last_watched(NEW) == NOW


def test_an_incident_goes_on_under_its_new_fingerprint_and_keeps_its_message(
    scored: Scored, connection: Connection
) -> None:
    everything_of(connection, scored, OLD)
    Incidents(connection).open_one("no_data", OLD, None, NOW)
    Features(connection).carry_over(OLD, NEW, NOW)
    marks = connection.execute(select(INCIDENTS.c.fingerprint).order_by(INCIDENTS.c.id)).scalars().all()
    assert marks == [fingerprint("regression", NEW, "small-1"), fingerprint("no_data", NEW)]
    assert Incidents(connection).open_one("regression", NEW, "small-1", NOW) is None, "it is open already"
    assert connection.execute(select(OUTBOX.c.state)).scalars().all() == ["due"]


def test_what_only_one_can_have_stays_as_the_new_name_has_it(scored: Scored, connection: Connection) -> None:
    everything_of(connection, scored, OLD)
    mine = everything_of(connection, scored, NEW, first_day=10)
    Incidents(connection).close(1, "accepted", NOW)
    Features(connection).carry_over(OLD, NEW, NOW)
    assert naming(connection, OLD) == set()
    pinned = Baselines(connection).pinned(NEW)
    assert pinned is not None
    assert pinned.id == mine[0]
    pins = connection.execute(text("SELECT feature, unpinned_at FROM evalops.baselines ORDER BY id")).all()
    assert [tuple(row) for row in pins] == [(NEW, NOW), (NEW, None)]
    assert Statistics(connection).slide(NEW) == {"of": 10}
    assert connection.execute(select(SLIDES.c.feature)).scalars().all() == [NEW]
    assert connection.execute(select(DRIFT_CENTROIDS.c.n)).scalars().all() == [11]
    assert Features(connection).standings([NEW])[NEW].runs == 4


def test_a_window_that_both_have_keeps_the_new_name_s_run_and_the_other_becomes_a_manual_one(
    scored: Scored, connection: Connection
) -> None:
    first, second = scored.runs(["4.000", "4.100"], feature=OLD)
    scored.run(2, None, feature=OLD, status="failed")
    mine = scored.run(1, "4.900", feature=NEW)
    for day, how in ((0, {"run_type": "manual"}), (0, {"status": "failed"}), (2, {})):  # none of these is in the way
        scored.run(day, "4.500", feature=NEW, **how)  # pyright: ignore[reportArgumentType]  # a run type, a status
    features = Features(connection)
    assert features.shared_windows(OLD, NEW) == [SharedWindow("2026-11-02", second.id, mine.id)]
    features.carry_over(OLD, NEW, NOW)
    types = connection.execute(select(EVAL_RUNS.c.id, EVAL_RUNS.c.run_type).where(EVAL_RUNS.c.score.is_not(None)))
    found = {row.id: row.run_type for row in types}
    assert (found[first.id], found[second.id], found[mine.id]) == ("scheduled", "manual", "scheduled")
    assert features.standings([NEW])[NEW].runs == 3


def test_other_features_are_left_alone(scored: Scored, connection: Connection) -> None:
    everything_of(connection, scored, OLD)
    everything_of(connection, scored, f"{OLD}_2", first_day=10)
    Features(connection).carry_over(OLD, NEW, NOW)
    for table in tables_that_name_a_feature():
        assert set(connection.execute(select(table.c.feature)).scalars()) == {NEW, f"{OLD}_2"}
    assert Incidents(connection).watched_at(f"{OLD}_2") == NOW
    assert Incidents(connection).listed(feature=f"{OLD}_2")[0].feature == f"{OLD}_2"


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(text(f"SELECT count(*) FROM {table.fullname}")).scalar_one()  # noqa: S608  # our tables
