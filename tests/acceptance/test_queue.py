"""Eval runs queue one by one, however they are launched: real daemon, real code server, a real process for each run."""

from collections.abc import Iterator
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
from pydantic import SecretStr

from evalops_core.domain.window import window_of
from evalops_core.postgres.server import Started
from evalops_core.store.engine import make_engine
from evalops_core.store.runs import EvalRuns
from tests.acceptance.deployments import Deployment, awaited, deployed, held_commits
from tests.builders import environment, write_suite
from tests.conftest import new_database
from tests.mock_fixture import MockOpenAI

pytestmark = [pytest.mark.process, pytest.mark.timeout(400)]

CHAIN = ("golden_cases", "responses", "judgments", "eval_score")
SUCCESS, QUEUED = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.QUEUED


def chain(feature: str) -> list[dg.AssetKey]:
    return [dg.AssetKey([feature, step]) for step in CHAIN]


@pytest.fixture(scope="module")
def database(postgres: Started, template_database: str) -> Iterator[SecretStr]:
    yield from new_database(postgres, template_database)


@pytest.fixture(scope="module")
def deployment(
    postgres: Started, database: SecretStr, mock_process: MockOpenAI, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("queue")
    for feature in ("orders", "returns"):
        write_suite(folder / "suites", mock_process.base_url, feature=feature, cases=12)
    variables = environment(database, folder / "home", folder / "suites", mock_process.base_url)
    for own in new_database(postgres, "template0"):
        with deployed(folder / "dagster home", own, variables) as deployment:
            yield deployment


def test_five_runs_by_hand_during_a_scheduled_one_wait_in_the_queue_and_go_one_after_another(
    deployment: Deployment, database: SecretStr, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    window = window_of(datetime.now(timezone.utc), 24).key
    mock_openai.configure(latency_ms=50)
    engine = make_engine(database)
    both = [*chain("orders"), *chain("returns"), dg.AssetKey("eval_trend")]
    with held_commits(engine) as commits:
        scheduled = deployment.launch(both, window, job="eval_daily", evalops__run_type="scheduled")
        awaited(commits.is_awaited, "the scheduled run to store its score")
        by_hand = [
            deployment.launch(chain("orders"), window),  # from the assets' page
            deployment.launch(chain("returns"), window, evalops__limit="4"),
            deployment.launch(chain("returns")[1:], window, evalops__limit="5"),
            deployment.launch(both, window, job="eval_daily", evalops__limit="3"),  # from a job's page
            deployment.launch(chain("orders"), window, job="eval_daily", evalops__limit="4"),
        ]
        # What pays for nothing does not queue; that it is over shows that the daemon has looked through the queue.
        free = deployment.launch(chain("orders")[:1], None)
        assert deployment.wait_for(free) is SUCCESS
        assert deployment.statuses(by_hand) == [QUEUED] * 5
        commits.release()
        assert [deployment.wait_for(run) for run in (scheduled, *by_hand)] == [SUCCESS] * 6, deployment.log("daemon")

    records = sorted(
        (deployment.record(run) for run in (scheduled, *by_hand)), key=lambda record: record.start_time or 0
    )
    assert [record.dagster_run.run_id for record in records] == [scheduled, *by_hand], "first come, first served"
    for earlier, later in pairwise(records):
        assert earlier.end_time is not None
        assert later.start_time is not None
        assert earlier.end_time <= later.start_time
    assert not [run for run in by_hand if "waiting up to" in deployment.said(run)], "the queue let two runs through"
    assert mock_openai.stats()["max_in_flight"] <= 8, "two eval runs called models at the same time"
    stored = EvalRuns(engine).recent(None, 20)
    assert sorted((run.run_type, run.feature) for run in stored) == [
        *[("manual", feature) for feature in ("orders", "orders", "orders", "returns", "returns", "returns")],
        ("scheduled", "orders"),
        ("scheduled", "returns"),
    ]
    assert {run.status for run in stored} == {"completed"}
    engine.dispose()
