"""`EVALOPS_GATE_SCOPE=feature`: eval runs of different features may go on at once, those of one feature may not."""

from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.tags import PARTITION_NAME_TAG
from sqlalchemy import Engine

from evalops_core.domain.suite import Suite
from evalops_core.suites.loader import load_suites
from evalops_core.wiring import Workshop
from evalops_dagster.definitions import build_definitions
from evalops_dagster.tags import GATE, RUN_TYPE, gate_tag
from tests.builders import judge_settings, make_workshop, write_suite
from tests.mock_fixture import MockOpenAI

CHAIN = ("golden_cases", "responses", "judgments", "eval_score")


@pytest.fixture
def suites(mock_openai: MockOpenAI, tmp_path: Path) -> Mapping[str, Suite]:
    for feature in ("orders", "returns"):
        write_suite(tmp_path / "suites", mock_openai.base_url, feature=feature, cases=2)
    return load_suites([tmp_path / "suites"])


@pytest.fixture
def workshop(engine: Engine, mock_openai: MockOpenAI, tmp_path: Path) -> Workshop:
    return make_workshop(engine, judge_settings(mock_openai.base_url, tmp_path, gate_scope="feature", gate_wait_s=0))


@pytest.fixture(autouse=True)
def by_feature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALOPS_SCHEDULED_ENABLED", "true")
    monkeypatch.setenv("EVALOPS_GATE_SCOPE", "feature")


def definitions(suites: Mapping[str, Suite], workshop: Workshop) -> dg.Definitions:
    return build_definitions(suites=suites, since=workshop.tools.now(), workshop=workshop, gate_scope="feature")


def tick(
    suites: Mapping[str, Suite], workshop: Workshop, instance: dg.DagsterInstance
) -> dict[str, dg.RunRequest] | str | None:
    """The run requests by the value of their gate's tag, or the reason for none."""
    repository = definitions(suites, workshop).get_repository_def()
    with dg.build_schedule_context(
        instance=instance, scheduled_execution_time=workshop.tools.now(), repository_def=repository
    ) as context:
        data = repository.get_schedule_def("eval_schedule").evaluate_tick(context)
    return {request.tags[GATE]: request for request in data.run_requests or ()} or data.skip_message


def materialize(
    suites: Mapping[str, Suite], workshop: Workshop, instance: dg.DagsterInstance, *features: str
) -> dg.ExecuteInProcessResult:
    job = definitions(suites, workshop).resolve_job_def("eval_daily")
    return job.execute_in_process(
        instance=instance,
        partition_key=workshop.plan(suites["orders"], run_type="manual").window.key,
        asset_selection=[dg.AssetKey([feature, step]) for feature in features for step in CHAIN],
        raise_on_error=False,
    )


def test_each_feature_that_is_due_gets_a_run_of_its_own(
    suites: Mapping[str, Suite], workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    requests = tick(suites, workshop, instance)
    assert isinstance(requests, dict)
    assert set(requests) == {gate_tag("orders"), gate_tag("returns")}
    for feature in suites:
        request = requests[gate_tag(feature)]
        assert request.tags[RUN_TYPE] == "scheduled"
        assert {key.path[0] for key in request.asset_selection or ()} == {feature, "eval_trend"}
    pools = {pool.name for pool in instance.event_log_storage.get_pool_limits()}
    assert {"evalops_gate_orders", "evalops_gate_returns"} <= pools


def test_a_feature_whose_run_is_not_finished_does_not_hold_up_the_others(
    suites: Mapping[str, Suite], workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    job = definitions(suites, workshop).resolve_job_def("eval_daily")
    key = workshop.plan(suites["orders"], run_type="scheduled").window.key
    tags = {RUN_TYPE: "scheduled", GATE: gate_tag("orders"), PARTITION_NAME_TAG: key}
    instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)
    requests = tick(suites, workshop, instance)
    assert isinstance(requests, dict)
    assert set(requests) == {gate_tag("returns")}


def test_who_holds_the_gate_of_one_feature_keeps_only_that_one_from_starting(
    suites: Mapping[str, Suite], workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    with workshop.gate_of(["orders"]).hold("elsewhere", wait_s=0):
        requests = tick(suites, workshop, instance)
        assert isinstance(requests, dict)
        assert set(requests) == {gate_tag("returns")}
        assert materialize(suites, workshop, instance, "returns").success
        assert not materialize(suites, workshop, instance, "orders").success
    with workshop.gate().hold("rename", wait_s=0):
        said = tick(suites, workshop, instance)
    assert isinstance(said, str)
    assert "due are orders, but the gate is held by run rename" in said


def test_a_run_of_several_features_holds_the_gate_of_each(
    suites: Mapping[str, Suite], workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    with workshop.gate_of(["returns"]).hold("elsewhere", wait_s=0):
        assert not materialize(suites, workshop, instance, "orders", "returns").success
    assert materialize(suites, workshop, instance, "orders", "returns").success
    assert workshop.gate().holder() is None


def test_runs_of_different_features_queue_for_different_pools(suites: Mapping[str, Suite], workshop: Workshop) -> None:
    graph = definitions(suites, workshop).resolve_asset_graph()
    pools = {key.path[0]: graph.get(key).pools for key in graph.get_all_asset_keys() if key.path[-1] == "responses"}
    assert pools == {"orders": {"evalops_gate_orders"}, "returns": {"evalops_gate_returns"}}
    job = definitions(suites, workshop).resolve_job_def("eval_daily")
    assert GATE not in job.tags


def test_the_pools_of_all_features_are_made_with_dagster_s_storage(
    suites: Mapping[str, Suite], instance: dg.DagsterInstance
) -> None:
    pools = {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}
    assert {pools[f"evalops_gate_{feature}"] for feature in suites} == {1}
