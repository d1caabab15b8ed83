"""Dagster's tables beside the store's: all of them or none, whoever was killed while making them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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


def schemas(engine: Engine) -> set[str]:
    return {name for name in inspect(engine).get_schema_names() if name.startswith("dagster")}


@pytest.mark.usefixtures("settings")
def test_what_a_killed_process_left_is_made_anew(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA dagster_unfinished"))
        connection.execute(text("CREATE TABLE dagster_unfinished.event_logs (id int)"))
    storage = EvalOpsStorage.from_config_value(None, {})
    assert {pool.name for pool in storage.event_log_storage.get_pool_limits()} == set(POOLS)
    assert storage.run_storage.get_runs_count() == 0
    assert schemas(engine) == {"dagster"}
    assert {"event_logs", "concurrency_slots", "runs", "instigators"} <= set(inspect(engine).get_table_names("dagster"))


def test_a_creation_that_is_cut_short_leaves_no_schema_that_looks_whole(settings: Settings, engine: Engine) -> None:
    def cut_short(_: SecretStr) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        dagster_url(settings, create=cut_short)
    assert "dagster" not in schemas(engine)


def test_of_many_that_start_at_once_one_makes_the_tables(settings: Settings) -> None:
    made: list[str] = []

    def url(_: int) -> str:
        return dagster_url(settings, create=lambda url: made.append(url.get_secret_value())).get_secret_value()

    with ThreadPoolExecutor(4) as pool:
        urls = set(pool.map(url, range(4)))
    assert [one.endswith("search_path%3Ddagster_unfinished") for one in made] == [True]
    assert [one.endswith("search_path%3Ddagster") for one in urls] == [True]
