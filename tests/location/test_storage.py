"""Dagster's tables beside the store's: all of them or none, whoever was killed while making them."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import dagster as dg
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, inspect, text

from evalops_core.settings import Settings, load_settings
from evalops_core.wiring import dagster_url
from evalops_dagster.pool import POOLS
from evalops_dagster.storage import EvalOpsStorage


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.fixture
def settings(database_url: SecretStr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("EVALOPS_DATABASE_URL", database_url.get_secret_value())
    monkeypatch.setenv("EVALOPS_HOME", str(tmp_path))
    return load_settings()


@pytest.mark.usefixtures("settings")
def test_what_a_killed_process_left_is_made_anew(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA dagster"))
        connection.execute(text("CREATE TABLE dagster.evalops_unfinished ()"))
        connection.execute(text("CREATE TABLE dagster.event_logs (id int)"))
    storage = EvalOpsStorage.from_config_value(None, {})
    assert {pool.name for pool in storage.event_log_storage.get_pool_limits()} == set(POOLS)
    assert storage.run_storage.get_runs_count() == 0
    tables = set(inspect(engine).get_table_names("dagster"))
    assert {"event_logs", "concurrency_slots", "runs", "instigators"} <= tables
    assert "evalops_unfinished" not in tables


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("of_its_own", [False, True], ids=["beside the store", "in a database of its own"])
def test_dagster_reads_its_times_right_in_a_database_whose_sessions_live_in_another_zone(
    engine: Engine,
    bare_engine: Engine,
    bare_database_url: SecretStr,
    monkeypatch: pytest.MonkeyPatch,
    of_its_own: bool,
) -> None:
    if of_its_own:
        monkeypatch.setenv("EVALOPS_DAGSTER_DATABASE_URL", bare_database_url.get_secret_value())
    of_dagster = bare_engine if of_its_own else engine
    with of_dagster.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        name = of_dagster.url.database
        connection.execute(text(f"ALTER DATABASE \"{name}\" SET timezone = 'Australia/Lord_Howe'"))
    runs = EvalOpsStorage.from_config_value(None, {}).run_storage
    before = datetime.now(timezone.utc)
    run_id = str(uuid.uuid4())
    runs.add_run(dg.DagsterRun("job", run_id, status=dg.DagsterRunStatus.NOT_STARTED))
    (record,) = runs.get_run_records(dg.RunsFilter(run_ids=[run_id]))
    assert abs(record.create_timestamp - before) < timedelta(minutes=10)


def test_a_creation_that_is_cut_short_is_begun_again_by_the_next(settings: Settings) -> None:
    def cut_short(_: SecretStr) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        dagster_url(settings, create=cut_short)
    made: list[SecretStr] = []
    dagster_url(settings, create=made.append)
    assert len(made) == 1


def test_of_many_that_start_at_once_one_makes_the_tables(settings: Settings, engine: Engine) -> None:
    made: list[str] = []

    def create(url: SecretStr) -> None:
        made.append(url.get_secret_value())
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE dagster.runs ()"))

    def url(_: int) -> str:
        return dagster_url(settings, create=create).get_secret_value()

    with ThreadPoolExecutor(4) as pool:
        urls = set(pool.map(url, range(4)))
    assert [one.endswith("search_path%3Ddagster") for one in made] == [True]
    assert urls == set(made)


@pytest.mark.usefixtures("settings")
def test_a_url_that_leads_into_the_stores_own_schema_stands_for_one_beside_it(
    monkeypatch: pytest.MonkeyPatch, database_url: SecretStr
) -> None:
    # the user of the tests' server is called evalops, so without a search path its tables are made in schema evalops
    monkeypatch.setenv("EVALOPS_DAGSTER_DATABASE_URL", database_url.get_secret_value())
    made: list[str] = []
    url = dagster_url(load_settings(), create=lambda url: made.append(url.get_secret_value())).get_secret_value()
    assert made == [url]
    assert url.endswith("search_path%3Ddagster")


@pytest.mark.usefixtures("settings")
def test_a_database_of_dagsters_own_is_taken_as_it_is(
    monkeypatch: pytest.MonkeyPatch, bare_database_url: SecretStr
) -> None:
    monkeypatch.setenv("EVALOPS_DAGSTER_DATABASE_URL", bare_database_url.get_secret_value())
    storage = EvalOpsStorage.from_config_value(None, {})
    assert storage.run_storage.get_runs_count() == 0
    assert "search_path" not in dagster_url(load_settings(), create=lambda _: None).get_secret_value()
