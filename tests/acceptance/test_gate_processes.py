"""Whatever strikes an eval run, gate and queue are free afterwards and the next one goes on: real processes throughout.

Code server, daemon and run workers are Dagster's own; the reaper is the project's, with seconds of patience instead of
a minute. Runs are launched, cancelled and executed again by the UI's own GraphQL.
"""

import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from evalops_core.domain.window import window_of
from evalops_core.postgres.server import Started
from evalops_core.run.tick import decide_tick
from evalops_core.store.engine import make_engine
from evalops_core.store.gate import Gate
from evalops_core.store.results import CaseResults
from evalops_core.store.runs import EvalRuns
from evalops_core.suites.loader import load_suites
from tests.acceptance.deployments import Deployment, awaited, deployed, held_commits, is_gone
from tests.builders import environment, write_suite
from tests.conftest import new_database
from tests.mock_fixture import MockOpenAI

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]

CHAIN = ("golden_cases", "responses", "judgments", "eval_score")
CASES = 72
IN_FLIGHT = 8
LATENCY_MS = 300
SUCCESS, FAILURE, CANCELED = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED
STARTED = dg.DagsterRunStatus.STARTED
WAIT_S = 8
ALIVE = "1 going on, 0 without a process"
STRIKES = {"kill -9": {FAILURE}, "SIGTERM": {FAILURE}, "cancel": {CANCELED}}


@dataclass(frozen=True)
class Site:
    """One deployment and what is around it."""

    deployment: Deployment
    database: SecretStr
    engine: Engine
    suites: Path
    window: str

    def launch(self, feature: str, **tags: str) -> str:
        return self.deployment.launch(chain(feature), self.window, evalops__run_type="scheduled", **tags)

    def stored(self, feature: str) -> tuple[set[str], set[str]]:
        """The cases of the window's scheduled run that have an answer, and those that have a judgment."""
        run, results = EvalRuns(self.engine).scheduled(feature, self.window), CaseResults(self.engine)
        if run is None:
            return set(), set()
        return {row.case_id for row in results.responses(run.id)}, {row.case_id for row in results.scores(run.id)}


def chain(feature: str) -> list[dg.AssetKey]:
    return [dg.AssetKey([feature, step]) for step in CHAIN]


@pytest.fixture(scope="module")
def site(
    postgres: Started, template_database: str, mock_process: MockOpenAI, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("gate")
    for feature, cases in {"struck": CASES, "orphaned": CASES, "next": 4, "late": 4}.items():
        write_suite(folder / "suites", mock_process.base_url, feature=feature, cases=cases)
    for database in new_database(postgres, template_database):
        variables = {
            **environment(database, folder / "home", folder / "suites", mock_process.base_url),
            "EVALOPS_GATE_WAIT_S": str(WAIT_S),
        }
        engine = make_engine(database)
        for own in new_database(postgres, "template0"):
            with deployed(
                folder / "dagster home", own, variables, module="tests.acceptance.quick_reaper"
            ) as deployment:
                window = window_of(datetime.now(timezone.utc), 24).key
                yield Site(deployment, database, engine, folder / "suites", window)
        engine.dispose()


def test_a_run_struck_at_any_moment_leaves_the_way_free_and_the_next_goes_on_without_paying_again(
    site: Site, mock_openai: MockOpenAI
) -> None:
    """Ten runs of one window in the queue; nine of them are ended, each in another way or at another moment."""
    deployment = site.deployment
    mock_openai.configure(latency_ms=LATENCY_MS)
    moments = [(phase, how) for phase in ("generating", "judging", "committing") for how in STRIKES]
    with held_commits(site.engine) as commits:
        runs = [site.launch("struck") for _ in range(len(moments) + 1)]
        kept: list[tuple[int, set[str], set[str]]] = []
        for run, (phase, how) in zip(runs, moments, strict=False):
            answered, judged = site.stored("struck")

            def there(
                run: str = run, phase: str = phase, answered: set[str] = answered, judged: set[str] = judged
            ) -> bool:
                now = site.stored("struck")
                if phase == "committing":
                    return commits.is_awaited()
                some, before = now[phase == "judging"], (answered, judged)[phase == "judging"]
                # on a busy machine the run before may have got through with it, before it was struck
                done = len(some) >= CASES and deployment.status(run) is dg.DagsterRunStatus.STARTED
                return len(some) > len(before) or done

            awaited(there, f"{run} to be {phase}: {deployment.status(run)}")
            seen = len(mock_openai.requests())
            strike(site, run, how)
            if phase == "committing":
                time.sleep(how == "cancel")  # nothing shows when the worker's thread that cancels has done so
                commits.release()
            assert deployment.wait_for(run) in STRIKES[how], (how, phase)
            awaited(lambda: mock_openai.stats()["in_flight"] == 0, "the last call to end", within_s=10)
            assert len(mock_openai.requests()) - seen <= 3 * IN_FLIGHT, f"calls went on after {how} while {phase}"
            if phase == "committing":
                commits.hold()
            kept.append((len(mock_openai.requests()), *site.stored("struck")))
        commits.release()
        assert deployment.wait_for(runs[-1]) is SUCCESS

    (finished,) = EvalRuns(site.engine).recent("struck", 20)
    assert (finished.run_type, finished.status, finished.n, finished.n_unscored) == ("scheduled", "completed", CASES, 0)
    requests = mock_openai.requests()
    for seen, answered, judged in kept:
        later = {(request["kind"], request["key"]) for request in requests[seen:]}
        assert not later & {("generate", case) for case in answered}, "a stored answer was paid again"
        assert not later & {("judge", case) for case in judged}, "a stored judgment was paid again"
    assert len(mock_openai.stats()["paid_again"]) <= 6 * IN_FLIGHT, "more than what was in flight was paid twice"
    assert not [run for run in runs if "waiting up to" in deployment.said(run)], "a lock outlived its run"
    gaps = [launched(deployment, later) - ended(deployment, earlier) for earlier, later in pairwise(runs)]
    print("gaps", [f"{gap:.1f}" for gap in gaps])
    assert max(gaps) < 30


def test_when_worker_and_code_server_die_together_the_reaper_frees_the_queue_and_the_run_can_go_on(
    site: Site, mock_openai: MockOpenAI
) -> None:
    deployment = site.deployment
    mock_openai.configure(latency_ms=LATENCY_MS)
    orphan = site.launch("orphaned")
    awaited(lambda: site.stored("orphaned")[0], "the first answers")
    queued = site.launch("next")
    worker = deployment.worker(orphan)
    with held_commits(site.engine) as commits:
        deployment.kill_code_server()
        assert is_gone(worker)
        awaited(lambda: Gate(site.database).holder() is None, "the lock to be free", within_s=10)
        assert deployment.statuses([orphan, queued]) == [STARTED, dg.DagsterRunStatus.QUEUED]
        deployment.start_code_server()
        assert deployment.wait_for(orphan) is FAILURE
        assert "The process of this run is gone" in deployment.said(orphan)

        awaited(commits.is_awaited, "the next run to store its score")
        looks = deployment.log("daemon").count(ALIVE)
        awaited(lambda: deployment.log("daemon").count(ALIVE) > looks + 3, "the reaper to look at a living run")
        assert deployment.status(queued) is STARTED, "a living run was reaped"
        commits.release()
        assert deployment.wait_for(queued) is SUCCESS

    answered, judged = site.stored("orphaned")
    (before,) = EvalRuns(site.engine).recent("orphaned", 10)
    seen = len(mock_openai.requests())
    again = deployment.reexecute_from_failure(orphan)
    assert deployment.wait_for(again) is SUCCESS
    (after,) = EvalRuns(site.engine).recent("orphaned", 10)
    assert (after.id, after.run_type, after.status, after.n) == (before.id, "scheduled", "completed", CASES)
    later = Counter((request["kind"], request["key"]) for request in mock_openai.requests()[seen:])
    assert sum(later.values()) == 2 * CASES - len(answered) - len(judged), "more than what was missing was called"
    assert not [case for case in answered if later["generate", case]]
    steps = {entry.step_key for entry in deployment.instance.all_logs(again, of_type=dg.DagsterEventType.STEP_START)}
    assert "orphaned__golden_cases" not in steps, "a step that had succeeded was executed again"


def test_a_run_waits_for_another_deployments_a_bounded_time_and_then_says_who_holds_the_gate(
    site: Site, mock_openai: MockOpenAI
) -> None:
    deployment, other = site.deployment, "0e0c1a52-0000-4000-8000-000000000001"
    with Gate(site.database).hold(other, wait_s=0):
        cancelled, patient = site.launch("late"), site.launch("late")
        awaited(lambda: f"held by run {other}" in deployment.said(cancelled), "the first run to wait")
        deployment.cancel(cancelled)
        assert deployment.wait_for(cancelled) is CANCELED
        assert deployment.wait_for(patient) is FAILURE
    said = deployment.said(patient)
    assert f"the gate is held by run {other} on {socket.gethostname().partition('.')[0]} since" in said
    assert f"gave up after waiting {WAIT_S} s for it" in said
    assert not mock_openai.requests()

    runs = EvalRuns(site.engine)
    assert runs.recent("late", 10) == []
    late = [suite for suite in load_suites([site.suites]).values() if suite.feature == "late"]
    assert decide_tick(late, runs, datetime.now(timezone.utc), over_budget=lambda _: None).start == ("late",)
    assert deployment.wait_for(site.launch("late")) is SUCCESS


def strike(site: Site, run: str, how: str) -> None:
    if how == "cancel":
        site.deployment.cancel(run)
    else:
        site.deployment.worker(run).send_signal(signal.SIGKILL if how == "kill -9" else signal.SIGTERM)


def launched(deployment: Deployment, run: str) -> float:
    """When the queue let it through."""
    (entry,) = deployment.instance.all_logs(run, of_type=dg.DagsterEventType.PIPELINE_STARTING)
    return entry.timestamp


def ended(deployment: Deployment, run: str) -> float:
    end = deployment.record(run).end_time
    assert end is not None
    return end
