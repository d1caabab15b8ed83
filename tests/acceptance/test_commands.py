"""`evalops run` and its short companions as processes: what they print, how they exit, what they leave running."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from evalops_core.postgres.server import EmbeddedServer
from evalops_core.store.runs import EvalRuns
from tests.acceptance.conftest import Command
from tests.acceptance.dev_stack import Home
from tests.builders import environment, write_suite
from tests.mock_fixture import MockOpenAI

pytestmark = pytest.mark.process

NOBODY = "http://127.0.0.1:9/v1"  # the discard port, where nothing listens


@pytest.fixture
def embedded(tmp_path: Path, mock_openai: MockOpenAI) -> Iterator[Home]:
    """A home with the embedded database and one suite, `orders`."""
    write_suite(tmp_path / "suites", mock_openai.base_url, cases=12)
    own = Home(tmp_path, environment(SecretStr(""), tmp_path / "home", tmp_path / "suites", mock_openai.base_url))
    yield own
    own.end()


def until(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def instance_of(command: Command, monkeypatch: pytest.MonkeyPatch) -> dg.DagsterInstance:
    """The Dagster instance that the command records in."""
    for name, value in command.environment.items():
        monkeypatch.setenv(name, value)
    return dg.DagsterInstance.from_config(command.environment["DAGSTER_HOME"])


def test_one_feature_s_failure_is_reported_and_the_other_s_result_is_printed_and_recorded_in_dagster(
    evalops: Command, mock_openai: MockOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_suite(tmp_path / "suites", NOBODY, feature="absent", cases=3)
    write_suite(tmp_path / "suites", mock_openai.base_url, cases=5)
    write_suite(tmp_path / "suites", mock_openai.base_url, feature="torn", yaml="description: [")
    evalops.environment["EVALOPS_CALL_MAX_ATTEMPTS"] = "1"
    said = evalops.run("run", "--json")

    assert said.returncode == 1
    (run,) = json.loads(said.stdout)
    assert (run["feature"], run["status"], run["n"], run["run_type"]) == ("orders", "completed", 5, "manual")
    assert 1 <= run["score"] <= 5
    problems = [line for line in said.stderr.splitlines() if line.startswith("error: ")]
    assert len(problems) == 2
    assert problems[0].startswith("error: torn: ")
    assert problems[1].startswith("error: absent: no case of absent got a response: ")
    assert "orders: responses: 5 of 5" in said.stderr
    assert "Traceback" not in said.stderr
    assert "\x1b" not in said.stderr

    with instance_of(evalops, monkeypatch) as instance:
        recorded = instance.get_run_by_id(run["dagster_run_id"])
        assert recorded is not None
        assert recorded.status is dg.DagsterRunStatus.SUCCESS
        event = instance.get_latest_materialization_event(dg.AssetKey(["orders", "eval_score"]))
        assert event is not None
        assert event.asset_materialization is not None
        assert event.asset_materialization.partition == run["partition_key"]
        assert event.run_id == run["dagster_run_id"]


def test_an_interrupted_run_keeps_what_is_done_and_the_next_goes_on(
    evalops: Command, mock_openai: MockOpenAI, engine: Engine, tmp_path: Path
) -> None:
    write_suite(tmp_path / "suites", mock_openai.base_url, cases=30)
    write_suite(tmp_path / "suites", mock_openai.base_url, feature="refunds", cases=30)
    mock_openai.configure(latency_ms=200)
    victim = evalops.start("run", "--json")
    until(lambda: mock_openai.stats()["by_kind"].get("generate", 0) > 10, victim)
    victim.send_signal(signal.SIGINT)
    out, err = victim.communicate(timeout=60)
    assert (victim.returncode, json.loads(out)) == (130, [])
    assert err.splitlines()[-1].startswith("interrupted: what was finished is stored")
    assert "Traceback" not in err
    assert "refunds" not in err, "it went on with the next feature"

    (stopped,) = EvalRuns(engine).recent(None, 10)
    mock_openai.configure(latency_ms=0)
    before = mock_openai.stats()["by_kind"]["generate"]
    (finished,) = evalops.json("run", "--json", "--feature", "orders")
    assert (finished["id"], finished["n"]) == (stopped.id, 30)
    assert mock_openai.stats()["by_kind"]["generate"] - before < 30


def test_a_database_that_dies_under_a_run_is_a_sentence_not_a_traceback(
    embedded: Home, mock_openai: MockOpenAI, bare_database_url: SecretStr
) -> None:
    # Dagster's tables are elsewhere: it would try for half a minute to reach its own
    embedded.variables["EVALOPS_DAGSTER_DATABASE_URL"] = bare_database_url.get_secret_value()
    mock_openai.configure(latency_ms=1000)
    victim = embedded.start("run")
    until(lambda: mock_openai.stats()["in_flight"] > 0, victim)
    assert EmbeddedServer(embedded.path / "postgres").stop()
    out, err = victim.communicate(timeout=120)
    assert (victim.returncode, out) == (1, "")
    *progress, problem = err.splitlines()
    assert all(line.startswith("orders: responses: ") for line in progress)
    assert problem.startswith(("error: orders: lost the connection", "error: orders: cannot connect to database"))


def test_short_commands_stop_the_database_that_they_started_and_url_keeps_it(embedded: Home) -> None:
    server = EmbeddedServer(embedded.path / "postgres")
    upgraded = embedded.run("db", "upgrade")
    assert upgraded.returncode == 0, upgraded.stderr
    assert server.status() is None
    url = embedded.run("db", "url")
    assert url.stdout.startswith("postgresql://")
    running = server.status()
    assert running is not None
    assert embedded.run("trend").returncode == 0
    assert server.status() == running
    assert embedded.run("db", "stop").stdout == "stopped\n"
    assert embedded.run("db", "stop").stdout == "it was not running\n"


def test_plain_dagster_commands_work_on_the_same_two_files(embedded: Home) -> None:
    def dagster(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "dagster", *arguments],
            cwd=embedded.dagster,
            env=embedded.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    info = dagster("instance", "info")
    assert info.returncode == 0, info.stderr
    assert f"$DAGSTER_HOME: {embedded.dagster}" in info.stdout
    assert EmbeddedServer(embedded.path / "postgres").status() is not None, "Dagster keeps its tables elsewhere"
    valid = dagster("definitions", "validate", "-w", "workspace.yaml")
    assert valid.returncode == 0, valid.stderr
    jobs = dagster("job", "list", "-w", "workspace.yaml")
    assert jobs.returncode == 0, jobs.stderr
    assert "eval_daily" in jobs.stdout
