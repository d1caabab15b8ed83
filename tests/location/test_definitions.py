"""The code location: what it holds, and that one bad suite does not take the others down."""

import re
import subprocess
import sys
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
import yaml
from pydantic import SecretStr
from sqlalchemy import Engine, text

from evalops_core.errors import DatabaseError
from evalops_core.settings import SHIPPED_SUITES, load_settings
from evalops_core.suites.loader import load_suites
from evalops_core.wiring import read_suites
from evalops_dagster import definitions
from evalops_dagster.definitions import build_definitions, defs
from tests.builders import write_suite

SINCE = datetime(2026, 11, 20, 15, tzinfo=timezone.utc)
PROJECT = Path(__file__).parents[2]


def test_every_shipped_feature_has_its_chain_in_a_group_of_its_own_and_feeds_the_trend() -> None:
    suites = load_suites([SHIPPED_SUITES])
    graph = build_definitions(suites=suites, since=SINCE).resolve_asset_graph()
    for feature in suites:
        chain = [dg.AssetKey([feature, step]) for step in ("golden_cases", "responses", "judgments", "eval_score")]
        for before, after in pairwise(chain):
            assert graph.get(after).parent_keys == {before}
        assert {graph.get(key).group_name for key in chain} == {feature}
        assert not graph.get(chain[0]).is_partitioned
        assert graph.get(dg.AssetKey("eval_trend")).parent_keys >= {chain[-1]}
        assert graph.get(chain[-1]).owners
        assert graph.get(chain[1]).description


def test_features_of_different_intervals_get_jobs_of_their_own(tmp_path: Path) -> None:
    write_suite(tmp_path, "http://127.0.0.1:9/v1", feature="daily")
    hourly = write_suite(tmp_path, "http://127.0.0.1:9/v1", feature="hourly") / "suite.yaml"
    hourly.write_text(hourly.read_text().replace("interval: 24", "interval: 6"))
    built = build_definitions(suites=load_suites([tmp_path]), since=SINCE)
    assert {job.name for job in built.resolve_all_job_defs()} >= {"eval_daily", "eval_every_6_hours"}
    assert dg.Definitions.validate_loadable(built) is None


def test_a_bad_suite_stands_as_an_asset_that_says_what_is_wrong_and_the_others_work(tmp_path: Path) -> None:
    write_suite(tmp_path, "http://127.0.0.1:9/v1", feature="good")
    (write_suite(tmp_path, "http://127.0.0.1:9/v1", feature="bad") / "cases.jsonl").write_text('{"input": "x"}\n')
    suites = read_suites(load_settings(suites=(tmp_path,)))
    assert list(suites.usable) == ["good"]
    built = build_definitions(suites=suites.usable, broken=suites.broken, since=SINCE)
    broken = built.resolve_asset_graph().get(dg.AssetKey(["bad", "golden_cases"]))
    assert broken.description is not None
    assert "cases.jsonl:1" in broken.description
    result = dg.materialize(
        [built.resolve_assets_def(dg.AssetKey(["bad", "golden_cases"]))],
        raise_on_error=False,
        instance=dg.DagsterInstance.ephemeral(),
    )
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert failure.step_failure_data.user_failure_data is not None
    assert "cases.jsonl:1" in (failure.step_failure_data.user_failure_data.description or "")


def test_the_location_s_name_is_the_same_in_every_file_that_dagster_reads() -> None:
    (location,) = yaml.safe_load((PROJECT / "workspace.yaml").read_text())["load_from"]
    assert location["python_module"]["location_name"] == "evalops"
    assert location["python_module"]["module_name"] == definitions.__name__
    assert 'code_location_name = "evalops"' in (PROJECT / "pyproject.toml").read_text()


@pytest.mark.parametrize("hours", [1, 2, 3, 4, 6, 8, 12, 24, 168])
def test_partitions_are_the_windows_and_the_open_one_can_be_materialized(hours: int) -> None:
    from evalops_core.domain.window import window_of
    from evalops_dagster.partitions import window_partitions

    now = datetime(2026, 11, 24, 13, 37, tzinfo=timezone.utc)
    partitions = window_partitions(hours, SINCE)
    keys = partitions.get_partition_keys(current_time=now)
    assert keys[0] == window_of(SINCE, hours).key
    assert keys[-1] == window_of(now, hours).key
    span = partitions.time_window_for_partition_key(keys[-1])
    assert (span.start, span.end) == (window_of(now, hours).start, window_of(now, hours).end)


@pytest.mark.parametrize("since", [None, "2026-01-01"])
def test_the_code_location_does_not_load_over_an_older_or_newer_schema_and_says_what_to_do(
    since: str | None, database_url: SecretStr, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALOPS_DATABASE_URL", database_url.get_secret_value())
    if since is not None:
        monkeypatch.setenv("EVALOPS_WINDOWS_SINCE", since)
    assert defs().resolve_job_def("eval_daily").name == "eval_daily"
    revision = "UPDATE evalops.alembic_version SET version_num = :revision"
    for found, sentence in (
        ("0002_add_eval_run_type", "is needed: run `evalops db upgrade`"),
        ("9999_from_the_future", "install the version that ran `evalops db upgrade` on it, or a later one"),
    ):
        with engine.begin() as connection:
            connection.execute(text(revision), {"revision": found})
        with pytest.raises(DatabaseError, match=f"at revision {found}.*{re.escape(sentence)}"):
            defs()


HEAVY = {"aiohttp", "alembic", "jsonschema", "matplotlib", "numpy", "pandas", "resend", "scipy"}
DEFINED = """
import sys
from datetime import datetime, timezone
from evalops_core.settings import load_settings
from evalops_core.wiring import read_suites
from evalops_dagster.definitions import build_definitions
suites = read_suites(load_settings())
assert suites.usable
build_definitions(suites=suites.usable, since=datetime.now(timezone.utc)).get_repository_def()
"""


@pytest.mark.parametrize(
    "then",
    [
        "",
        "import evalops_dagster.alert_ticks",
        "import evalops_dagster.heartbeat_ticks",
        "import evalops_dagster.schedule_ticks",
    ],
)
def test_definitions_and_ticks_that_find_nothing_import_no_client_no_statistics_and_no_frames(
    then: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_suite(tmp_path, "http://127.0.0.1:9/v1", feature="good")
    monkeypatch.setenv("EVALOPS_SUITES", str(tmp_path))
    code = f"{DEFINED}\n{then}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    said = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    loaded = set(said.split())
    assert {"dagster", "sqlalchemy"} <= loaded
    assert not loaded & HEAVY
