"""Days of drift in Dagster: what is stored and shown, what never is, the check, the gate and the schedule's ticks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import Engine, text

from evalops_core.domain.suite import DriftSpec, Suite
from evalops_core.domain.trace import Trace
from evalops_core.settings import Settings
from evalops_core.store.drift import DriftDays
from evalops_core.store.traces import Traces
from evalops_core.wiring import Workshop, drift_gate
from evalops_dagster.definitions import build_definitions
from tests.builders import judge_settings, make_suite, make_workshop
from tests.mock_fixture import MockOpenAI
from tests.run.drift.days import asked, at

SPEC = DriftSpec(min_sample=3, max_sample=6)
SECRET, NEW_SECRET = "the vault's number is 4711", "my aunt lives in Quibble Lane"  # what users wrote
DAY = timedelta(days=1)


@pytest.fixture
def settings(mock_openai: MockOpenAI, tmp_path: Path) -> Settings:
    endpoint = {"embedding_model": "mock-embedding", "embedding_base_url": mock_openai.base_url}
    prices = {"mock-embedding": {"input_per_mtok": "10", "output_per_mtok": "10"}}
    return judge_settings(mock_openai.base_url, tmp_path, prices=prices, **endpoint)


@pytest.fixture
def workshop(engine: Engine, settings: Settings) -> Workshop:
    return make_workshop(engine, settings)


@pytest.fixture
def suite(mock_openai: MockOpenAI, tmp_path: Path) -> Suite:
    return replace(make_suite(tmp_path / "suites", mock_openai.base_url, cases=2), drift=SPEC)


@pytest.fixture
def first(workshop: Workshop) -> date:
    return workshop.tools.now().date() - 8 * DAY


def traffic(engine: Engine, day: date, words: str, n: int = 5, feature: str = "orders") -> None:
    """`n` answered calls, all of them in `words` and in a number."""
    Traces(engine).insert(
        [
            Trace(id=f"{feature}-{day}-{number}", feature=feature, created_at=at(day, number), messages=asked(words))
            for number in range(n)
        ]
    )


def materialize(
    suite: Suite,
    workshop: Workshop,
    instance: dg.DagsterInstance,
    day: date,
    steps: Sequence[str] = ("input_centroid", "input_drift"),
) -> dg.ExecuteInProcessResult:
    definitions = build_definitions(suites={suite.feature: suite}, since=workshop.tools.now(), workshop=workshop)
    return definitions.resolve_job_def("input_drift").execute_in_process(
        instance=instance,
        partition_key=str(day),
        asset_selection=[dg.AssetKey([suite.feature, step]) for step in steps],
        raise_on_error=False,
    )


def over(
    suite: Suite, workshop: Workshop, instance: dg.DagsterInstance, first: date, *words: str
) -> list[dg.ExecuteInProcessResult]:
    """Day after day in these words."""
    results: list[dg.ExecuteInProcessResult] = []
    for number, said in enumerate(words):
        traffic(workshop.engine, first + number * DAY, said)
        results.append(materialize(suite, workshop, instance, first + number * DAY))
    return results


def shown(result: dg.ExecuteInProcessResult, step: str) -> dict[str, Any]:
    (event,) = [
        event.materialization
        for event in result.all_events
        if event.asset_key == dg.AssetKey(["orders", step]) and event.is_step_materialization
    ]
    return {name: value.value for name, value in event.metadata.items()}


def check(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (found,) = result.get_asset_check_evaluations()
    return found


QUIET = (SECRET,) * 4


def test_a_drift_shows_on_its_day_as_numbers_a_picture_and_a_failed_check(
    suite: Suite, workshop: Workshop, instance: dg.DagsterInstance, first: date
) -> None:
    results = over(suite, workshop, instance, first, *QUIET, NEW_SECRET, NEW_SECRET)
    assert all(result.success for result in results)
    sampled, decided = shown(results[-1], "input_centroid"), shown(results[-1], "input_drift")
    assert (sampled["prompts"], sampled["malformed"], sampled["made"]) == (5, 0, "now")
    assert (decided["state"], decided["threshold"], decided["days above in a row"]) == ("alerting", 0.15, 2)
    assert 0.15 < decided["drift"] <= 2
    assert decided["compared with"] == f"4 good days, {first} to {first + 3 * DAY}"
    assert decided["drift over days"].startswith("![")
    assert len(decided["drift over days"]) < 1000, "else Dagster hides it behind a link"
    checks = [check(result) for result in results]
    assert [one.passed for one in checks] == [True, True, True, True, False, False]
    assert [one.severity.value for one in checks[-2:]] == ["WARN", "ERROR"]
    assert checks[-1].metadata["day"].value == str(first + 5 * DAY)
    assert "2 days in a row" in (checks[-1].description or "")


def test_numbers_to_plot_are_left_out_where_nothing_was_compared(
    suite: Suite, workshop: Workshop, instance: dg.DagsterInstance, first: date
) -> None:
    (result,) = over(suite, workshop, instance, first, SECRET)
    facts = shown(result, "input_drift")
    assert facts["state"] == "baseline"
    assert not {"drift", "threshold", "farthest prompts", "compared with"} & set(facts)
    traffic(workshop.engine, first + DAY, SECRET, n=2)
    few = materialize(suite, workshop, instance, first + DAY)
    assert shown(few, "input_centroid")["made"] == "no: too few traces with a user's message"
    assert (shown(few, "input_drift")["state"], check(few).passed) == ("insufficient", True)


def test_a_day_materialized_again_costs_nothing_tells_nobody_and_says_the_same(
    suite: Suite, workshop: Workshop, instance: dg.DagsterInstance, first: date, mock_openai: MockOpenAI
) -> None:
    *_, last = over(suite, workshop, instance, first, *QUIET, NEW_SECRET, NEW_SECRET)
    calls = len(mock_openai.requests())
    again = materialize(suite, workshop, instance, first + 5 * DAY)
    assert len(mock_openai.requests()) == calls
    before, after = shown(last, "input_drift"), shown(again, "input_drift")
    assert (before.pop("decided"), after.pop("decided")) == ("now", "before")
    assert before == after
    assert len(workshop.outbox().listed()) == 1
    assert check(again).passed is False


@pytest.mark.parametrize("include", [False, True])
def test_texts_are_shown_where_the_suite_wants_it_and_vectors_never_are(
    suite: Suite, workshop: Workshop, instance: dg.DagsterInstance, first: date, *, include: bool
) -> None:
    open_suite = replace(suite, drift=replace(SPEC, include_texts=include))
    results = over(open_suite, workshop, instance, first, *QUIET, NEW_SECRET)
    with workshop.engine.connect() as connection:
        days = DriftDays(connection)
        stored = days.recent("orders", 10)
        numbers = {f"{value:.6f}" for found in days.centroids([day.id for day in stored]).values() for value in found}
    said = "\n".join(str(entry) for result in results for entry in instance.all_logs(result.run_id))
    assert (SECRET in said) is (NEW_SECRET in said) is include
    assert "Be brief." not in said, "a system message is nobody's prompt"
    assert not [number for number in numbers if len(number.strip("-0.")) > 4 and number in said]
    rows = [record.data for record in shown(results[-1], "input_drift")["farthest prompts"].records]
    assert len(rows) == 5
    assert all(("prompt" in row) is include for row in rows)


def test_a_setting_keeps_texts_out_whatever_the_suite_says(
    suite: Suite, workshop: Workshop, instance: dg.DagsterInstance, first: date
) -> None:
    shy = make_workshop(workshop.engine, workshop.settings.model_copy(update={"alert_include_texts": False}))
    open_suite = replace(suite, drift=replace(SPEC, include_texts=True))
    *_, last = over(open_suite, shy, instance, first, *QUIET, NEW_SECRET)
    assert NEW_SECRET not in "\n".join(str(entry) for entry in instance.all_logs(last.run_id))


def test_a_paid_embedding_is_in_the_ledger_of_the_feature(
    suite: Suite, workshop: Workshop, instance: dg.DagsterInstance, first: date
) -> None:
    over(suite, workshop, instance, first, SECRET)
    with workshop.engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM evalops.spend")).one()
    assert (row.feature, row.purpose, row.model, row.calls) == ("orders", "drift.embed", "mock-embedding", 1)
    assert row.settled_usd > 0
    assert row.eval_run_id is None


def test_a_day_that_would_break_the_daily_cap_is_not_embedded(
    suite: Suite, workshop: Workshop, instance: dg.DagsterInstance, first: date, mock_openai: MockOpenAI
) -> None:
    capped = make_workshop(
        workshop.engine, workshop.settings.model_copy(update={"hard_cap_day_usd": Decimal("0.000001")})
    )
    traffic(workshop.engine, first, SECRET)
    result = materialize(suite, capped, instance, first)
    assert not result.success
    assert "hard cap" in "\n".join(str(entry) for entry in instance.all_logs(result.run_id))
    assert mock_openai.requests() == []


def test_drift_has_a_gate_of_its_own(
    suite: Suite, workshop: Workshop, instance: dg.DagsterInstance, first: date
) -> None:
    traffic(workshop.engine, first, SECRET)
    with workshop.gate().hold("an-eval-run", wait_s=0):
        assert materialize(suite, workshop, instance, first).success
    impatient = make_workshop(workshop.engine, workshop.settings.model_copy(update={"gate_wait_s": 0.1}))
    with drift_gate(workshop).hold("another-day", wait_s=0):
        refused = materialize(suite, impatient, instance, first)
        assert not refused.success
        assert "the gate is held by run another-day" in "\n".join(map(str, instance.all_logs(refused.run_id)))
        with workshop.gate().hold("an-eval-run", wait_s=0):
            pass


def test_a_drift_without_its_centroid_says_what_to_do(
    suite: Suite, workshop: Workshop, instance: dg.DagsterInstance, first: date
) -> None:
    result = materialize(suite, workshop, instance, first, steps=["input_drift"])
    assert not result.success
    assert "materialize input_centroid of that day" in "\n".join(map(str, instance.all_logs(result.run_id)))


# The schedule


def tick(suites: Mapping[str, Suite], workshop: Workshop, instance: dg.DagsterInstance) -> list[dg.RunRequest] | str:
    repository = build_definitions(suites=suites, since=workshop.tools.now(), workshop=workshop).get_repository_def()
    with dg.build_schedule_context(
        instance=instance, scheduled_execution_time=workshop.tools.now(), repository_def=repository
    ) as context:
        data = repository.get_schedule_def("drift_schedule").evaluate_tick(context)
    return list(data.run_requests) if data.run_requests else data.skip_message or ""


def test_the_schedule_is_off_until_somebody_switches_it_on(suite: Suite, workshop: Workshop) -> None:
    repository = build_definitions(suites={"orders": suite}, since=workshop.tools.now()).get_repository_def()
    schedule = repository.get_schedule_def("drift_schedule")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert schedule.cron_schedule == "30 * * * *"


def test_each_feature_and_day_that_is_due_is_a_run_of_its_own(
    suite: Suite, workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    yesterday = workshop.tools.now().date() - DAY
    suites = {name: replace(suite, feature=name) for name in ("orders", "returns", "silent")}
    for feature, days in {"orders": (1, 0), "returns": (0,)}.items():
        for ago in days:
            traffic(workshop.engine, yesterday - ago * DAY, SECRET, feature=feature)
    found = tick(suites, workshop, instance)
    assert isinstance(found, list)
    assert [(run.tags["evalops/drift_of"], run.partition_key) for run in found] == [
        ("orders", str(yesterday - DAY)),
        ("orders", str(yesterday)),
        ("returns", str(yesterday)),
    ]
    assert [key.to_user_string() for key in found[2].asset_selection or ()] == [
        "returns/input_centroid",
        "returns/input_drift",
    ]
    assert {run.tags["evalops/run_type"] for run in found} == {"scheduled"}


def test_a_day_that_is_done_or_on_its_way_is_not_started_again(
    suite: Suite, workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    yesterday = workshop.tools.now().date() - DAY
    traffic(workshop.engine, yesterday, SECRET)
    instance.create_run_for_job(
        build_definitions(suites={"orders": suite}, since=workshop.tools.now()).resolve_job_def("input_drift"),
        tags={"dagster/partition": str(yesterday), "evalops/drift_of": "orders"},
        status=dg.DagsterRunStatus.STARTED,
    )
    assert tick({"orders": suite}, workshop, instance) == f"orders of {yesterday} is queued or running"
    assert materialize(suite, workshop, instance, yesterday).success
    assert tick({"orders": suite}, workshop, instance) == f"orders is done up to {yesterday}"


def test_days_that_are_over_can_be_materialized_and_those_before_the_installation_too(workshop: Workshop) -> None:
    from evalops_dagster.drift import day_partitions

    now = workshop.tools.now()
    keys = day_partitions(now).get_partition_keys(current_time=now)
    assert keys[-1] == str(now.date() - DAY)
    assert keys[0] == str(now.date() - 90 * DAY)


def test_days_stand_in_a_group_of_their_own_for_a_group_is_materialized_for_one_kind_of_partition(
    suite: Suite, workshop: Workshop
) -> None:
    suites = {name: replace(suite, feature=name) for name in ("orders", "inputs")}
    suites["inputs"] = replace(suites["inputs"], interval_hours=1)  # a job of its own, and a name like the group's
    built = build_definitions(suites=suites, since=workshop.tools.now())
    graph = built.resolve_asset_graph()
    days = {key for key in graph.get_all_asset_keys() if key.path[-1] in ("input_centroid", "input_drift")}
    assert len(days) == 4
    assert {graph.get(key).group_name for key in days} == {"inputs"}
    for job in ("eval_daily", "eval_hourly"):
        assert days.isdisjoint(built.resolve_job_def(job).asset_layer.executable_asset_keys)
