"""The reaper: which runs it fails, and which it never does."""

import json
import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent

from evalops_core.domain.suite import Suite
from evalops_core.suites.loader import load_suites
from evalops_core.wiring import Workshop, drift_gate
from evalops_dagster.definitions import build_definitions
from evalops_dagster.sensors import gate_reaper
from evalops_dagster.tags import BY_COMMAND
from tests.builders import write_suite
from tests.mock_fixture import MockOpenAI

STARTED, FAILURE, SUCCESS = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS


@pytest.fixture
def suites(mock_openai: MockOpenAI, tmp_path: Path) -> Mapping[str, Suite]:
    write_suite(tmp_path / "suites", mock_openai.base_url, cases=2)
    return load_suites([tmp_path / "suites"])


class Runs:
    """Runs as Dagster knows them, without processes; and the reaper, which remembers its last look."""

    def __init__(
        self, suites: Mapping[str, Suite], workshop: Workshop, instance: dg.DagsterInstance, job: str = "eval_daily"
    ) -> None:
        self._instance = instance
        self._job = build_definitions(suites=suites, since=workshop.tools.now()).resolve_job_def(job)
        self._cursor: str | None = None

    def started(self, *assets: Sequence[str], tags: Mapping[str, str] | None = None) -> str:
        """One of the whole job, or of some assets only."""
        selection = {dg.AssetKey(asset) for asset in assets} or None
        job = self._job.get_subset(asset_selection=selection) if selection else self._job
        run = self._instance.create_run_for_job(job, tags=tags, asset_selection=frozenset(selection or ()) or None)
        self.report(run.run_id, dg.DagsterEventType.PIPELINE_START)
        return run.run_id

    def report(self, run_id: str, kind: dg.DagsterEventType) -> None:
        event = DagsterEvent(event_type_value=kind.value, job_name=self._job.name)
        self._instance.report_dagster_event(event, run_id)

    def status(self, run_id: str) -> dg.DagsterRunStatus:
        run = self._instance.get_run_by_id(run_id)
        assert run is not None
        return run.status

    def look(self, grace: timedelta = timedelta(0)) -> str:
        """What the reaper says."""
        with dg.build_sensor_context(instance=self._instance, cursor=self._cursor) as context:
            data = gate_reaper(grace).evaluate_tick(context)
        self._cursor = data.cursor
        assert data.skip_message is not None
        return data.skip_message


@pytest.fixture
def runs(suites: Mapping[str, Suite], workshop: Workshop, instance: dg.DagsterInstance) -> Runs:
    return Runs(suites, workshop, instance)


def test_a_run_without_a_process_is_failed_at_the_second_look(runs: Runs) -> None:
    lost = runs.started()
    assert runs.look() == "1 going on, 1 without a process"
    assert runs.status(lost) is STARTED
    assert runs.look() == f"failed {lost}"
    assert runs.status(lost) is FAILURE
    assert runs.look() == "no eval run is going on"


def test_a_day_of_drift_without_a_process_is_failed_too(
    suites: Mapping[str, Suite], workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    days = Runs(suites, workshop, instance, "input_drift")
    lost, alive = days.started(), days.started()
    with drift_gate(workshop).hold(alive, wait_s=0):
        assert days.look() == "2 going on, 1 without a process"
        assert days.look() == f"failed {lost}"
    assert (days.status(lost), days.status(alive)) == (FAILURE, STARTED)


def test_a_run_that_holds_the_gate_and_one_that_waits_for_it_are_left_alone(runs: Runs, workshop: Workshop) -> None:
    holding, waiting, lost = runs.started(), runs.started(), runs.started()
    waits, enough = threading.Event(), threading.Event()

    def wait() -> None:
        with workshop.gate().hold(waiting, wait_s=60, said=lambda _: waits.set()):
            enough.wait(60)

    thread = threading.Thread(target=wait)
    with workshop.gate().hold(holding, wait_s=0):
        thread.start()
        assert waits.wait(30)
        for _ in range(4):
            runs.look()
    enough.set()
    thread.join(60)
    assert [runs.status(run) for run in (holding, waiting, lost)] == [STARTED, STARTED, FAILURE]


def test_a_run_that_needs_no_gate_is_left_alone(runs: Runs) -> None:
    trend, cases = runs.started(["eval_trend"]), runs.started(["orders", "golden_cases"])
    assert [runs.look() for _ in range(3)] == ["no eval run is going on"] * 3
    assert [runs.status(run) for run in (trend, cases)] == [STARTED, STARTED]


def test_a_run_of_the_command_that_was_killed_is_failed_too(runs: Runs) -> None:
    killed = runs.started(["orders", "golden_cases"], tags={BY_COMMAND: "run"})
    runs.look()
    assert runs.look() == f"failed {killed}"


def test_a_run_that_has_just_started_is_given_time_to_come_to_the_gate(runs: Runs) -> None:
    new = runs.started()
    assert [runs.look(timedelta(minutes=1)) for _ in range(3)] == ["no eval run is going on"] * 3
    assert runs.status(new) is STARTED


def test_a_run_that_is_back_at_the_second_look_is_left_alone(runs: Runs, workshop: Workshop) -> None:
    run = runs.started()
    runs.look()
    with workshop.gate().hold(run, wait_s=0):
        assert runs.look() == "1 going on, 0 without a process"
    assert runs.look() == "1 going on, 1 without a process", "missed once, not twice in a row"
    assert runs.status(run) is STARTED


def test_a_run_that_ended_in_good_order_stays_as_it_ended(runs: Runs) -> None:
    run = runs.started()
    runs.look()
    runs.report(run, dg.DagsterEventType.PIPELINE_SUCCESS)
    assert runs.look() == "no eval run is going on"
    assert runs.status(run) is SUCCESS
    assert json.loads(runs._cursor or "") == []  # pyright: ignore[reportPrivateUsage]  # nothing is remembered of it
