"""A tick of the schedule: what it starts, and what it says when it starts nothing."""

import asyncio
import uuid
from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.errors import ScheduleExecutionError
from dagster._core.scheduler import DagsterDaemonScheduler

from evalops_core.domain.eval_run import EvalRun
from evalops_core.domain.suite import Suite
from evalops_core.run.evaluate import evaluate
from evalops_core.run.progress import silent
from evalops_core.suites.loader import load_suites
from evalops_core.wiring import Workshop
from evalops_dagster.definitions import build_definitions
from tests.builders import make_suite, write_suite
from tests.mock_fixture import MockOpenAI


@pytest.fixture
def suites(mock_openai: MockOpenAI, tmp_path: Path) -> Mapping[str, Suite]:
    for feature in ("orders", "returns"):
        write_suite(tmp_path / "suites", mock_openai.base_url, feature=feature, cases=4)
    return load_suites([tmp_path / "suites"])


@pytest.fixture
def enabled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALOPS_SCHEDULED_ENABLED", "true")


def tick(
    suites: Mapping[str, Suite], workshop: Workshop, instance: dg.DagsterInstance, name: str = "eval_schedule"
) -> dg.RunRequest | str:
    """The run request, or the reason for none."""
    repository = build_definitions(suites=suites, since=workshop.tools.now()).get_repository_def()
    schedule = repository.get_schedule_def(name)
    with dg.build_schedule_context(
        instance=instance, scheduled_execution_time=workshop.tools.now(), repository_def=repository
    ) as context:
        data = schedule.evaluate_tick(context)
    if data.run_requests:
        (request,) = data.run_requests
        return request
    assert data.skip_message is not None
    return data.skip_message


def finish(workshop: Workshop, suite: Suite) -> EvalRun:
    return asyncio.run(evaluate(workshop.plan(suite, run_type="scheduled"), workshop.tools, silent))


def test_it_is_off_until_somebody_switches_it_on(suites: Mapping[str, Suite], workshop: Workshop) -> None:
    repository = build_definitions(suites=suites, since=workshop.tools.now()).get_repository_def()
    schedule = repository.get_schedule_def("eval_schedule")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert schedule.cron_schedule == "0 * * * *"


def test_disabled_a_tick_says_so_and_opens_no_connection(
    suites: Mapping[str, Suite], workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALOPS_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    with dg.DagsterInstance.ephemeral() as instance:
        assert tick(suites, workshop, instance) == (
            "disabled: set EVALOPS_SCHEDULED_ENABLED=true to let this schedule spend money"
        )


@pytest.mark.usefixtures("enabled")
def test_all_features_that_are_due_share_one_run_for_the_current_window(
    suites: Mapping[str, Suite], workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    request = tick(suites, workshop, instance)
    assert isinstance(request, dg.RunRequest)
    window = workshop.plan(suites["orders"], run_type="scheduled").window
    assert request.partition_key == window.key
    assert request.tags["evalops/run_type"] == "scheduled"
    assert request.run_key == f"eval_daily:{window.key}"
    selected = {key.to_user_string() for key in request.asset_selection or ()}
    assert {"orders/eval_score", "returns/eval_score", "orders/responses", "orders/trend", "eval_trend"} <= selected
    assert {key.name for key in request.asset_check_keys or ()} == {"coverage"}, "what sensors report is left to them"


@pytest.mark.usefixtures("enabled")
def test_a_feature_that_is_evaluated_is_left_out_and_the_tick_says_until_when(
    suites: Mapping[str, Suite], workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    done = finish(workshop, suites["orders"])
    request = tick(suites, workshop, instance)
    assert isinstance(request, dg.RunRequest)
    assert not [key for key in request.asset_selection or () if key.path[0] == "orders"]
    finish(workshop, suites["returns"])
    reason = tick(suites, workshop, instance)
    assert f"orders is not due before {done.window_end:%Y-%m-%d} 00:00 UTC: window {done.partition_key}" in str(reason)
    assert "returns is not due" in str(reason)


@pytest.mark.usefixtures("enabled")
def test_while_the_gate_is_held_the_tick_says_by_whom(
    suites: Mapping[str, Suite], workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    run = str(uuid.uuid4())
    with workshop.gate().hold(run, wait_s=0):
        reason = tick(suites, workshop, instance)
    assert f"the gate is held by run {run} on " in str(reason)
    assert isinstance(tick(suites, workshop, instance), dg.RunRequest)


@pytest.mark.usefixtures("enabled")
def test_while_a_scheduled_run_is_queued_no_second_one_is_requested(
    suites: Mapping[str, Suite], workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    job = build_definitions(suites=suites, since=workshop.tools.now()).resolve_job_def("eval_daily")
    scheduled = {"evalops/run_type": "scheduled"}
    queued = instance.create_run_for_job(job, tags=scheduled, status=dg.DagsterRunStatus.STARTING)
    assert tick(suites, workshop, instance) == f"the run before is not finished: run {queued.run_id} is starting"


@pytest.mark.usefixtures("enabled")
def test_over_budget_the_tick_says_what_was_spent_and_what_may_be(
    suites: Mapping[str, Suite],
    workshop: Workshop,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    mock_openai: MockOpenAI,
    tmp_path: Path,
) -> None:
    prices = '{"mock-judge": {"input_per_mtok": "1000", "output_per_mtok": "1000"}}'
    monkeypatch.setenv("EVALOPS_PRICES", prices)
    monkeypatch.setenv("EVALOPS_DAILY_BUDGET_USD", "0.01")
    from evalops_core.settings import load_settings
    from evalops_core.wiring import workshop_over

    paying = workshop_over(workshop.engine, load_settings(), silent)
    finish(paying, make_suite(tmp_path / "suites", mock_openai.base_url, feature="orders", cases=4))
    reason = str(tick({"returns": suites["returns"]}, workshop, instance))
    assert reason.startswith("returns is over its budget: spent $")
    assert "of $0.01" in reason


@pytest.mark.usefixtures("enabled")
def test_a_run_that_was_killed_is_requested_again_at_the_next_tick(
    suites: Mapping[str, Suite], workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    from evalops_core.run.begin import begin

    for suite in suites.values():
        begin(workshop.plan(suite, run_type="scheduled"), workshop.tools.runs, workshop.tools.now())
    assert isinstance(tick(suites, workshop, instance), dg.RunRequest)


@pytest.mark.usefixtures("enabled")
def test_each_interval_has_a_schedule_of_its_own(
    mock_openai: MockOpenAI, tmp_path: Path, workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    write_suite(tmp_path / "suites", mock_openai.base_url, feature="daily")
    file = write_suite(tmp_path / "suites", mock_openai.base_url, feature="often") / "suite.yaml"
    file.write_text(file.read_text().replace("interval: 24", "interval: 1"))
    suites = load_suites([tmp_path / "suites"])
    for name, feature in (("eval_schedule", "daily"), ("eval_schedule_hourly", "often")):
        request = tick(suites, workshop, instance, name)
        assert isinstance(request, dg.RunRequest)
        assert {key.path[0] for key in request.asset_selection or ()} == {feature, "eval_trend"}


@pytest.mark.usefixtures("enabled")
def test_a_tick_without_a_database_fails_with_its_name_and_the_next_one_works(
    suites: Mapping[str, Suite], workshop: Workshop, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as away:
        away.setenv("EVALOPS_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/evals")
        with pytest.raises(ScheduleExecutionError) as failed:
            tick(suites, workshop, instance)
    assert str(failed.value.__cause__) == "cannot connect to database evals at 127.0.0.1:1: Connection refused"
    assert isinstance(tick(suites, workshop, instance), dg.RunRequest)
    assert isinstance(instance.scheduler, DagsterDaemonScheduler)
    assert instance.scheduler.max_tick_retries >= 5, "an hour's window would go by without a run"
