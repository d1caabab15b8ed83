"""Steps that call models run in one process: an executor that gives each a process of its own is refused."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import pytest
from dagster._core.errors import DagsterInvalidConfigError, DagsterInvariantViolationError
from dagster_celery import celery_executor
from dagster_docker import docker_executor
from dagster_k8s import k8s_job_executor

from evalops_core.domain.window import window_of
from evalops_core.settings import load_settings
from evalops_core.wiring import Workshop, installed_since, read_suites
from evalops_dagster.definitions import build_definitions
from evalops_dagster.executors import keeps_one_process
from tests.builders import write_suite
from tests.mock_fixture import MockOpenAI

SENTENCE = "eval runs need Dagster's in_process_executor, because the gate's lock belongs to one process"
IN_PROCESS: Mapping[str, Any] = {"execution": {"config": {"in_process": {}}}}


def ours() -> dg.Definitions:
    settings = load_settings()
    return build_definitions(suites=read_suites(settings).usable, since=installed_since(settings))


def theirs() -> dg.JobDefinition:
    """A team's own job over our assets, with Dagster's default: a process a step."""
    assets = [asset for asset in ours().assets or () if isinstance(asset, dg.AssetsDefinition)]
    responses = dg.define_asset_job("theirs", selection=[dg.AssetKey(["orders", "responses"])])
    definitions = dg.Definitions(assets=assets, jobs=[responses], resources=ours().resources)
    return definitions.resolve_job_def("theirs")


def execute(instance: dg.DagsterInstance, run_config: Mapping[str, Any]) -> dg.JobExecutionResult:
    day = window_of(installed_since(load_settings()), 24).key
    job = dg.reconstructable(theirs)
    return dg.execute_job(job, instance, run_config=run_config, tags={"dagster/partition": day})


def test_a_team_s_job_with_a_process_a_step_fails_with_the_sentence_and_calls_nothing(
    instance: dg.DagsterInstance, workshop: Workshop, mock_openai: MockOpenAI
) -> None:
    write_suite(load_settings().suites[0], mock_openai.base_url, cases=4)
    with execute(instance, {}) as result:
        assert not result.success
        (failed,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failed.user_failure_data
    assert (failed.user_failure_data.description or "").startswith(SENTENCE)
    assert "this run has multi_or_in_process_executor; " in (failed.user_failure_data.description or "")
    assert not mock_openai.requests()
    assert workshop.tools.runs.recent("orders", 5) == []
    assert workshop.gate().holder() is None

    with execute(instance, IN_PROCESS) as result:
        assert result.success
    assert len(mock_openai.requests()) == 4


def test_our_jobs_refuse_to_be_configured_or_merged_into_another_executor(
    instance: dg.DagsterInstance, mock_openai: MockOpenAI
) -> None:
    assert instance.is_persistent
    write_suite(load_settings().suites[0], mock_openai.base_url, cases=1)
    job = ours().resolve_job_def("eval_daily")
    dg.validate_run_config(job, {})
    with pytest.raises(DagsterInvalidConfigError):
        dg.validate_run_config(job, {"execution": {"config": {"multiprocess": {}}}})
    with pytest.raises(DagsterInvariantViolationError, match="executor"):
        dg.Definitions.merge(ours(), dg.Definitions(executor=dg.multiprocess_executor))


def test_only_executors_that_stay_in_the_run_s_process_keep_one_process() -> None:
    assert keeps_one_process(dg.in_process_executor.name, {})
    assert keeps_one_process("execute_in_process_executor", {})
    assert keeps_one_process("multi_or_in_process_executor", IN_PROCESS)
    assert keeps_one_process("multi_or_in_process_executor", {"execution": {"in_process": {}}})
    assert not keeps_one_process("multi_or_in_process_executor", {"execution": {"config": {"multiprocess": {}}}})
    assert not keeps_one_process("multi_or_in_process_executor", {})
    for each in (dg.multiprocess_executor, celery_executor, docker_executor, k8s_job_executor):
        assert not keeps_one_process(each.name, {}), each.name
        assert not keeps_one_process(each.name, IN_PROCESS), each.name
