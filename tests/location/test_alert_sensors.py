"""The sensors of scores and mails on a real instance: what Dagster is told, and when."""

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, ScheduleInstigatorData
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from sqlalchemy import Engine

from evalops_core.domain.eval_run import EvalRun
from evalops_core.domain.suite import Suite
from evalops_core.run.watch import watch
from evalops_core.store.alerting import reading
from evalops_core.store.outbox import Outbox
from evalops_core.suites.loader import load_suites
from evalops_core.wiring import Workshop, alert_rules
from evalops_dagster.definitions import build_definitions
from tests.builders import write_suite
from tests.mock_fixture import MockOpenAI
from tests.run.scored import START, Scored

FEATURES = ("explain", "extract")


@pytest.fixture
def suites(mock_openai: MockOpenAI, tmp_path: Path) -> Mapping[str, Suite]:
    for feature in FEATURES:
        write_suite(tmp_path / "suites", mock_openai.base_url, feature=feature, cases=2)
    return load_suites([tmp_path / "suites"])


class Ticks:
    """A sensor's ticks one after another, with the cursor between them as the daemon keeps it."""

    def __init__(self, suites: Mapping[str, Suite], instance: dg.DagsterInstance, name: str) -> None:
        self._repository = build_definitions(suites=suites, since=START).get_repository_def()
        self._instance, self._name = instance, name
        self.cursor: str | None = None

    def tick(self) -> tuple[str, list[Any]]:
        """What it says, and the events that it reports, which are stored as the daemon would."""
        sensor = self._repository.get_sensor_def(self._name)
        with dg.build_sensor_context(
            instance=self._instance, cursor=self.cursor, repository_def=self._repository
        ) as context:
            data = sensor.evaluate_tick(context)
        for event in data.asset_events:
            self._instance.report_runless_asset_event(event)
        self.cursor = data.cursor
        return data.skip_message or "", list(data.asset_events)


@pytest.fixture
def regression(suites: Mapping[str, Suite], instance: dg.DagsterInstance) -> Ticks:
    return Ticks(suites, instance, "regression_sensor")


def checks(instance: dg.DagsterInstance, feature: str) -> list[Any]:
    """The stored evaluations of `no_regression`, newest first."""
    key = dg.AssetCheckKey(dg.AssetKey([feature, "eval_score"]), "no_regression")
    records = instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
    entries = [record.event for record in records]
    return [entry.dagster_event.event_specific_data for entry in entries if entry and entry.dagster_event]


def evaluations(events: Sequence[Any]) -> list[dg.AssetCheckEvaluation]:
    return [event for event in events if isinstance(event, dg.AssetCheckEvaluation)]


def test_they_are_on_by_default_and_the_schedule_is_not(suites: Mapping[str, Suite]) -> None:
    repository = build_definitions(suites=suites, since=START).get_repository_def()
    on = {sensor.name for sensor in repository.sensor_defs if sensor.default_status is dg.DefaultSensorStatus.RUNNING}
    alerts = {"regression_sensor", "alert_delivery_sensor", "incident_watch_sensor"}
    assert on == {*alerts, "gate_reaper_sensor", "heartbeat_sensor"}


def test_a_regression_shows_as_a_failed_check_with_what_a_person_asks_first(
    engine: Engine, instance: dg.DagsterInstance, regression: Ticks
) -> None:
    before = Scored(engine).run(0, "4.200")
    after = Scored(engine).run(1, "3.600", dagster_run="b3a1")
    said, _ = regression.tick()
    assert said == "checked 2 scores: 1 regressed, 1 incidents opened, 0 resolved, 1 messages made"
    (check,) = checks(instance, "explain")
    assert (check.passed, check.severity, check.partition) == (False, dg.AssetCheckSeverity.ERROR, None)
    assert "3.600 is 0.600 below the 4.200 of window 2026-11-01" in check.description
    facts = {name: value.value for name, value in check.metadata.items()}
    assert facts["window"] == "2026-11-02"
    assert facts["delta"] == pytest.approx(-0.6)
    assert (facts["score"], facts["baseline score"]) == (3.6, 4.2)
    assert (facts["eval run"], facts["baseline run"]) == (str(after.id), str(before.id))
    assert facts["Dagster run"] == "http://127.0.0.1:3000/runs/b3a1"
    assert facts["rule"] == "fixed_drop"


def test_many_reports_for_one_window_and_one_check_are_possible(
    engine: Engine, instance: dg.DagsterInstance, regression: Ticks
) -> None:
    Scored(engine).runs(["4.200", "4.300"])
    regression.tick()
    for _ in range(3):
        regression.cursor = None
        said, events = regression.tick()
        assert (said, len(evaluations(events))) == ("no new scheduled score", 1), "each feature's newest verdict again"
    assert len(checks(instance, "explain")) == 4


def test_a_verdict_brings_the_trends_of_its_feature_and_of_all_up_to_date(engine: Engine, regression: Ticks) -> None:
    Scored(engine).runs(["4.200", "3.600"])
    _, events = regression.tick()
    shown = {
        event.asset_key.to_user_string(): event.metadata
        for event in events
        if isinstance(event, dg.AssetMaterialization)
    }
    assert set(shown) == {"explain/trend", "eval_trend"}
    assert shown["explain/trend"]["verdict"].value == "regressed"
    assert shown["explain/trend"]["incident"].value == "1 is open"
    assert shown["explain/trend"]["score"].value == shown["eval_trend"]["score explain"].value == 3.6


def test_a_tick_without_news_reports_nothing(engine: Engine, regression: Ticks) -> None:
    Scored(engine).runs(["4.200", "3.600"])
    regression.tick()
    assert regression.tick() == ("no new scheduled score", [])


def test_a_tick_that_died_before_its_cursor_was_stored_reports_again_and_does_nothing_else(
    engine: Engine, regression: Ticks
) -> None:
    regression.tick()
    before = regression.cursor
    Scored(engine).runs(["4.200", "3.600"])
    _, first = regression.tick()
    regression.cursor = before
    _, again = regression.tick()
    assert [event.description for event in again] == [event.description for event in first]
    with reading(engine) as tables:
        assert len(tables.incidents.listed()) == 1


def test_a_recovered_score_passes_again(engine: Engine, instance: dg.DagsterInstance, regression: Ticks) -> None:
    for day, score in enumerate(["4.200", "3.600", "3.600", "4.100"]):
        Scored(engine).run(day, score)
        regression.tick()
    assert [check.passed for check in checks(instance, "explain")] == [True, False, False, True]
    assert "incident 1 is open since" in checks(instance, "explain")[1].description


def test_a_score_of_a_dagster_run_that_still_holds_the_gate_waits_for_its_end(
    engine: Engine, workshop: Workshop, regression: Ticks
) -> None:
    Scored(engine).run(0, "4.200", dagster_run="d1")
    with workshop.gate().hold("d1", wait_s=0):
        assert regression.tick()[0] == "no new scheduled score; 1 wait for the end of their Dagster run"
    assert regression.tick()[0].startswith("checked 1 score:")


def test_the_check_executed_by_hand_repeats_the_verdict_and_changes_nothing(
    suites: Mapping[str, Suite],
    engine: Engine,
    workshop: Workshop,
    instance: dg.DagsterInstance,
    regression: Ticks,
) -> None:
    Scored(engine).runs(["4.200", "3.600"])
    regression.tick()
    built = build_definitions(suites=suites, since=START, workshop=workshop)
    key = dg.AssetCheckKey(dg.AssetKey(["explain", "eval_score"]), "no_regression")
    job = built.resolve_implicit_global_asset_job_def().get_subset(asset_check_selection={key}, asset_selection=set())
    result = job.execute_in_process(instance=instance)
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed
    assert check.description is not None
    assert check.description.startswith("as of the newest scheduled run, of window 2026-11-02: regressed")
    with reading(engine) as tables:
        assert len(tables.verdicts.after(0, 10)) == 2


def switch_on(instance: dg.DagsterInstance, since: datetime) -> None:
    """As the UI does, a while ago."""
    location = ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(module_name="x"), "evalops")
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), "eval_schedule")
    data = ScheduleInstigatorData("0 * * * *", since.timestamp())
    instance.add_instigator_state(InstigatorState(origin, InstigatorType.SCHEDULE, InstigatorStatus.RUNNING, data))


def test_a_schedule_that_is_on_and_brings_no_valid_score_opens_an_incident(
    suites: Mapping[str, Suite],
    workshop: Workshop,
    engine: Engine,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ticks = Ticks(suites, instance, "incident_watch_sensor")
    long_ago = datetime.now(timezone.utc) - timedelta(days=3)
    rules = alert_rules(workshop.settings, suites)
    watch(engine, rules, long_ago, scheduled=dict.fromkeys(FEATURES, long_ago))
    assert "0 features are scheduled" in ticks.tick()[0], "the setting is off"
    monkeypatch.setenv("EVALOPS_SCHEDULED_ENABLED", "true")
    assert "0 features are scheduled" in ticks.tick()[0], "the schedule is off"
    switch_on(instance, long_ago)
    assert ticks.tick()[0] == "no valid data of explain, extract; 2 features are scheduled, 1 messages were made"
    with reading(engine) as tables:
        assert {incident.kind for incident in tables.incidents.listed()} == {"no_data"}


def test_a_mail_that_was_given_up_fails_a_check_even_if_the_tick_that_saw_it_died(
    suites: Mapping[str, Suite], engine: Engine, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALOPS_ALERT_TO", "team@example.com")
    Scored(engine).runs(["4.200", "3.600"])
    Ticks(suites, instance, "regression_sensor").tick()
    outbox = Outbox(engine)
    (message,) = outbox.listed()
    outbox.ended(message.id, "dead", "refused")
    delivery = Ticks(suites, instance, "alert_delivery_sensor")
    _, (failed,) = delivery.tick()
    assert (failed.check_name, failed.passed) == ("alerts_delivered", False)
    assert failed.description.startswith(f"1 alert mail was given up: {message.id}.")
    assert delivery.tick() == ("nothing is due", []), "it is told once"
    outbox.revive(message.id, None, datetime.now(timezone.utc))
    _, (passed,) = delivery.tick()
    assert passed.passed


@pytest.fixture
def doubtful(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> EvalRun:
    """The open window's run, whose fall may be chance."""
    monkeypatch.setenv("EVALOPS_SCHEDULED_ENABLED", "true")
    scored, today = Scored(engine), (datetime.now(timezone.utc) - START).days

    def one(day: int, drop: float) -> EvalRun:
        levels, noise = random.Random(7), random.Random(day)
        scores = [levels.uniform(3, 4) + noise.gauss(0, 0.4) - drop for _ in range(40)]
        return scored.run(
            today - 7 + day,
            f"{sum(scores) / 40:.3f}",
            answers={f"case-{number}": ("so", min(max(score, 1), 5)) for number, score in enumerate(scores)},
        )

    for day in range(7):
        one(day, 0.0)
    return one(7, 0.2)


def test_a_fall_that_may_be_chance_has_that_feature_evaluated_once_more(
    doubtful: EvalRun, suites: Mapping[str, Suite], instance: dg.DagsterInstance, regression: Ticks
) -> None:
    repository = build_definitions(suites=suites, since=START).get_repository_def()
    with dg.build_sensor_context(instance=instance, repository_def=repository) as context:
        data = repository.get_sensor_def("regression_sensor").evaluate_tick(context)
    (request,) = list(data.run_requests or [])
    assert (request.run_key, request.job_name) == (f"confirm:{doubtful.id}", "eval_daily")
    assert request.partition_key == doubtful.partition_key
    assert request.tags["evalops/confirms"] == str(doubtful.id)
    assert "evalops/run_type" not in request.tags
    assert {key.to_user_string() for key in request.asset_selection or ()} == {
        "explain/responses",
        "explain/judgments",
        "explain/eval_score",
    }
    assert regression.tick()[0] == "no new scheduled score; 1 wait for a second run", "it is asked for once"


def test_a_fall_that_may_be_chance_is_a_warning_where_no_second_run_may_be_made(
    doubtful: EvalRun,
    instance: dg.DagsterInstance,
    regression: Ticks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("EVALOPS_SCHEDULED_ENABLED")
    regression.tick()
    check = checks(instance, "explain")[0]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "not confirmed by a second run: runs that cost money are off" in check.description
    assert 0.001 < check.metadata["p"].value <= 0.01
    assert check.metadata["runs used"].value == 7
    assert check.metadata["eval run"].value == str(doubtful.id)


def test_without_a_key_the_delivery_sensor_sends_nothing_and_says_so(
    suites: Mapping[str, Suite], engine: Engine, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALOPS_ALERT_TO", "team@example.com")
    Scored(engine).runs(["4.200", "3.600"])
    Ticks(suites, instance, "regression_sensor").tick()
    delivery = Ticks(suites, instance, "alert_delivery_sensor")
    assert delivery.tick() == ("1 not configured", [])
    assert delivery.tick() == ("nothing is due", [])
