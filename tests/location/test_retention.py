"""The job that deletes old traces, and the schedule that starts it."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import dagster as dg
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from evalops_core.domain.trace import Trace
from evalops_core.settings import load_settings
from evalops_core.store.traces import Traces
from evalops_core.wiring import Workshop, workshop_over
from evalops_dagster.definitions import build_definitions
from tests.run.scored import Scored

NIGHT = datetime(2026, 11, 24, 3, 17, tzinfo=timezone.utc)


def repository(workshop: Workshop | None = None) -> dg.RepositoryDefinition:
    return build_definitions(suites={}, since=NIGHT, workshop=workshop).get_repository_def()


def workshop_with(engine: Engine, home: Path, days: int | None) -> Workshop:
    return workshop_over(engine, load_settings(home=home, trace_retention_days=days))


def told(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    """What all steps told of what they took."""
    outputs = [event.step_output_data.metadata for event in result.all_events if event.is_successful_output]
    return {name: value.value for metadata in outputs for name, value in metadata.items()}


@pytest.fixture
def tick() -> dg.ScheduleEvaluationContext:
    return dg.build_schedule_context(scheduled_execution_time=NIGHT)


def test_the_schedule_is_on_for_every_night_and_waits_for_no_eval_run() -> None:
    schedule = repository().get_schedule_def("trace_retention_schedule")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("17 3 * * *", "UTC")
    assert repository().get_job("purge_traces").get_node_named("delete_old_traces").definition.pools == set()


def test_without_days_the_schedule_says_why_it_starts_nothing(
    tick: dg.ScheduleEvaluationContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALOPS_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    data = repository().get_schedule_def("trace_retention_schedule").evaluate_tick(tick)
    assert not data.run_requests
    assert data.skip_message == (
        "EVALOPS_TRACE_RETENTION_DAYS, EVALOPS_TEXT_RETENTION_DAYS and EVALOPS_EVENT_RETENTION_DAYS are unset, so "
        "everything is kept for ever; set one to a number of days"
    )


def test_with_days_it_starts_the_job_once_a_night(
    tick: dg.ScheduleEvaluationContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALOPS_TRACE_RETENTION_DAYS", "30")
    requests = repository().get_schedule_def("trace_retention_schedule").evaluate_tick(tick).run_requests
    assert [request.run_key for request in requests or ()] == ["purge_traces:2026-11-24"]


def test_the_job_deletes_what_is_older_and_says_how_much(engine: Engine, tmp_path: Path) -> None:
    now = datetime.now(timezone.utc)
    for days in (1, 29, 31, 400):
        Traces(engine).insert([Trace(id=f"{days}", feature="f", created_at=now - timedelta(days=days), messages=[])])
    with dg.DagsterInstance.ephemeral() as instance:
        job = repository(workshop_with(engine, tmp_path, 30)).get_job("purge_traces")
        result = job.execute_in_process(instance=instance)
    assert told(result) == {"traces": 2, "embeddings": 0}
    with engine.connect() as connection:
        assert set(connection.scalars(text("SELECT id FROM evalops.llm_traces"))) == {"1", "29"}


def test_the_job_started_by_hand_without_days_fails_in_a_sentence(engine: Engine, tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        job = repository(workshop_with(engine, tmp_path, None)).get_job("purge_traces")
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert failure.step_failure_data.user_failure_data is not None
    said = failure.step_failure_data.user_failure_data.description or ""
    assert said.startswith("EVALOPS_TRACE_RETENTION_DAYS, EVALOPS_TEXT_RETENTION_DAYS and")


def test_the_job_takes_texts_and_runs_of_dagster_too_where_their_days_are_set(engine: Engine, tmp_path: Path) -> None:
    Scored(engine).run(1, "4.000", answers={"a": ("secret", 4.0)})
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE evalops.eval_runs SET finished_at = :end, window_start = '2020-01-01', window_end = :end"),
            {"end": NIGHT - timedelta(days=900)},
        )
    settings = load_settings(home=tmp_path, text_retention_days=30, event_retention_days=30)
    with dg.DagsterInstance.ephemeral() as instance:
        result = (
            repository(workshop_over(engine, settings)).get_job("purge_traces").execute_in_process(instance=instance)
        )
        assert instance.has_run(result.run_id)
    assert told(result) == {
        "eval runs": 1,
        "mails": 0,
        "kept judgments": 0,
        "Dagster runs": 0,
    }
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(text) FROM evalops.responses")).scalar_one() == 0


def test_the_job_opens_the_store_of_the_settings(
    engine: Engine, database_url: SecretStr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALOPS_DATABASE_URL", database_url.get_secret_value())
    monkeypatch.setenv("EVALOPS_TRACE_RETENTION_DAYS", "30")
    Traces(engine).insert([Trace(id="old", feature="f", created_at=NIGHT - timedelta(days=900), messages=[])])
    with dg.DagsterInstance.ephemeral() as instance:
        assert repository().get_job("purge_traces").execute_in_process(instance=instance).success
    assert not Traces(engine).texts(["old"])
