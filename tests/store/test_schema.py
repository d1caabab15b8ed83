import multiprocessing
from datetime import datetime, timezone
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pydantic import SecretStr
from sqlalchemy import Connection, Engine, inspect, text

from evalops_core.errors import DatabaseError
from evalops_core.store.deployment import installed_at
from evalops_core.store.engine import make_engine
from evalops_core.store.schema import current, downgrade, ensure_current, head, upgrade
from evalops_core.store.tables import METADATA, SCHEMA, VIEWS

ALL = [
    "0001_eval_runs",
    "0002_add_eval_run_type",
    "0003_trend_and_spend",
    "0004_alerts",
    "0005_drift",
    "0006_ledger",
    "0007_recompute",
    "0008_incidents",
    "0009_statistics",
    "0010_trend",
    "0011_judge_cache",
    "0012_dagster_runs",
    "0013_drift_states",
    "0014_purged_texts",
]

# What alembic's comparison leaves out: checks, conditions and directions of indexes, actions of foreign keys.
_CATALOG = text("""
    WITH tables AS (
        SELECT oid, relname FROM pg_class
        WHERE relnamespace = 'evalops'::regnamespace AND relkind = 'r' AND relname <> 'alembic_version'
    )
    SELECT 'column', relname, attname, concat_ws(' ', format_type(atttypid, atttypmod), attnotnull,
            attidentity, pg_get_expr(adbin, adrelid))
        FROM tables JOIN pg_attribute ON attrelid = tables.oid AND attnum > 0 AND NOT attisdropped
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    UNION ALL
    SELECT 'constraint', relname, conname, pg_get_constraintdef(pg_constraint.oid)
        FROM tables JOIN pg_constraint ON conrelid = tables.oid
    UNION ALL
    SELECT 'index', relname, indexrelid::regclass::text, pg_get_indexdef(indexrelid)
        FROM tables JOIN pg_index ON indrelid = tables.oid
    ORDER BY 1, 2, 3
""")


def test_an_upgrade_from_empty_applies_every_revision_once(bare_engine: Engine) -> None:
    assert current(bare_engine) is None
    assert upgrade(bare_engine) == ALL
    assert current(bare_engine) == head() == ALL[-1]
    assert upgrade(bare_engine) == []


def test_the_migrations_lead_to_the_declared_tables(database_url: SecretStr) -> None:
    # Alembic leaves out the schema that names without one fall into, and a user `evalops` has that in `evalops`.
    engine = make_engine(database_url, connect_args={"options": "-c search_path=public"})

    def ours(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "schema" or name == SCHEMA

    options = {"include_schemas": True, "include_name": ours, "version_table_schema": SCHEMA}
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_the_migrations_lead_to_the_declared_constraints_and_indexes(engine: Engine, bare_engine: Engine) -> None:
    with bare_engine.begin() as declared:
        declared.execute(text("CREATE SCHEMA evalops"))
        METADATA.create_all(declared)
        expected = _catalog(declared)
    with engine.connect() as migrated:
        assert _catalog(migrated) == expected
    assert len(expected) > 100


def test_the_views_have_the_declared_columns(engine: Engine) -> None:
    found = inspect(engine)
    assert set(found.get_view_names(SCHEMA)) == {table.name for table in VIEWS.tables.values()}
    for view in VIEWS.tables.values():
        assert {item["name"] for item in found.get_columns(view.name, SCHEMA)} == set(view.c.keys())


def test_old_runs_become_manual(bare_engine: Engine) -> None:
    assert upgrade(bare_engine, "0001") == ALL[:1]
    with bare_engine.begin() as connection:
        connection.execute(text(_OLD_RUNS))
    assert upgrade(bare_engine) == ALL[1:]
    with bare_engine.connect() as connection:
        runs = connection.execute(text("SELECT feature, score, run_type FROM evalops.eval_runs ORDER BY id")).all()
        trend = connection.execute(text("SELECT count(*) FROM evalops.eval_trend")).scalar_one()
    assert [(feature, str(score), run_type) for feature, score, run_type in runs] == [
        ("explain", "4.200", "manual"),
        ("explain", "3.900", "manual"),  # the same window twice: allowed then, and no reason to refuse the upgrade
    ]
    assert trend == 0


def test_run_types_can_be_taken_back_and_put_again(engine: Engine) -> None:
    assert downgrade(engine, "0001") == ALL[:0:-1]
    with engine.begin() as connection:
        connection.execute(text(_OLD_RUNS))
    assert "run_type" not in {column["name"] for column in inspect(engine).get_columns("eval_runs", SCHEMA)}
    assert upgrade(engine) == ALL[1:]


def test_everything_can_be_taken_back(engine: Engine) -> None:
    downgrade(engine, "base")
    assert inspect(engine).get_table_names(SCHEMA) == ["alembic_version"]
    assert current(engine) is None


def test_processes_that_upgrade_at_once_apply_each_revision_once(bare_database_url: SecretStr) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(3), context.Queue()
    processes = [
        context.Process(target=_upgrade_at_once, args=(bare_database_url.get_secret_value(), barrier, queue))
        for _ in range(3)
    ]
    for process in processes:
        process.start()
    applied = sorted(queue.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    assert applied == [[], [], ALL]


def test_a_failing_upgrade_leaves_the_database_as_it_was(bare_engine: Engine) -> None:
    upgrade(bare_engine, "0002")
    with bare_engine.begin() as connection:
        connection.execute(text("CREATE TABLE evalops.baselines (id int)"))  # in the way of the fourth revision
    with pytest.raises(Exception, match="baselines"):
        upgrade(bare_engine)
    assert current(bare_engine) == ALL[1]
    assert "spend" not in inspect(bare_engine).get_table_names(SCHEMA)


def test_an_empty_database_is_refused_with_the_command_to_run(bare_engine: Engine) -> None:
    with pytest.raises(DatabaseError, match="has no EvalOps tables yet: run `evalops db upgrade`"):
        ensure_current(bare_engine)


def test_an_older_database_is_refused_with_the_command_to_run(bare_engine: Engine) -> None:
    upgrade(bare_engine, "0002")
    with pytest.raises(DatabaseError, match=f"0002_add_eval_run_type and {head()} is needed: run `evalops db upgrade`"):
        ensure_current(bare_engine)


def test_a_newer_database_is_refused_and_left_alone(engine: Engine) -> None:
    ensure_current(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE evalops.alembic_version SET version_num = '9999_future'"))
    for use in (ensure_current, upgrade):
        with pytest.raises(DatabaseError, match="revision 9999_future, which this version of EvalOps does not know"):
            use(engine)
    assert current(engine) == "9999_future"


def test_a_password_with_a_percent_sign_can_upgrade(bare_engine: Engine, bare_database_url: SecretStr) -> None:
    with bare_engine.begin() as connection:
        connection.execute(text("CREATE ROLE percent LOGIN SUPERUSER PASSWORD '100%s %(x)s'"))
    try:
        url = bare_engine.url.set(username="percent", password="100%s %(x)s")
        engine = make_engine(SecretStr(url.render_as_string(hide_password=False)))
        assert upgrade(engine) == ALL
        engine.dispose()
        with bare_engine.begin() as connection:
            connection.execute(text("DROP OWNED BY percent"))
    finally:
        with bare_engine.begin() as connection:
            connection.execute(text("DROP ROLE percent"))


def test_the_day_of_installation_is_kept(bare_engine: Engine) -> None:
    before = datetime.now(timezone.utc).replace(microsecond=0)
    upgrade(bare_engine)
    first = installed_at(bare_engine)
    assert before <= first <= datetime.now(timezone.utc)
    upgrade(bare_engine)
    assert installed_at(bare_engine) == first


_OLD_RUNS = """
    INSERT INTO evalops.eval_runs (feature, window_start, window_end, partition_key, status, comparability,
        comparability_key, plan_key, score, n, coverage, finished_at)
    SELECT 'explain', '2025-01-01+00', '2025-01-02+00', '2025-01-01', 'completed', '{}', 'k', 'k', score, 40, 1, now()
    FROM unnest(ARRAY[4.2, 3.9]) AS score
"""


def _catalog(connection: Connection) -> list[tuple[str, ...]]:
    return [tuple(str(part) for part in row) for row in connection.execute(_CATALOG)]


def _upgrade_at_once(url: str, barrier: Barrier, queue: "Queue[list[str]]") -> None:
    engine = make_engine(SecretStr(url))
    barrier.wait(60)
    queue.put(upgrade(engine))
    engine.dispose()
