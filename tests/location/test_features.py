"""A feature's chain, materialized for real: what is stored, what Dagster shows of it, and what a failure says."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import Engine, text

from evalops_core.domain.suite import Suite
from evalops_core.domain.window import window_of
from evalops_core.store.alerting import reading
from evalops_core.wiring import Workshop
from evalops_dagster.definitions import build_definitions
from tests.builders import make_suite
from tests.mock_fixture import MockOpenAI

CHAIN = ("golden_cases", "responses", "judgments", "eval_score")


def materialize(
    suite: Suite,
    workshop: Workshop,
    instance: dg.DagsterInstance,
    *,
    steps: Sequence[str] = CHAIN,
    tags: dict[str, str] | None = None,
) -> dg.ExecuteInProcessResult:
    definitions = build_definitions(suites={suite.feature: suite}, since=workshop.tools.now(), workshop=workshop)
    plan = workshop.plan(suite, run_type="manual")
    return definitions.resolve_job_def("eval_daily").execute_in_process(
        instance=instance,
        partition_key=plan.window.key,
        asset_selection=[dg.AssetKey([suite.feature, step]) for step in steps] + [dg.AssetKey("eval_trend")],
        tags=tags or {},
        raise_on_error=False,
    )


def shown(result: dg.ExecuteInProcessResult, key: Sequence[str]) -> dict[str, Any]:
    """The metadata of an asset's materialization, as plain values."""
    (event,) = [
        event.materialization
        for event in result.all_events
        if event.asset_key == dg.AssetKey(key) and event.is_step_materialization
    ]
    return {name: value.value for name, value in event.metadata.items()}


@pytest.fixture
def suite(mock_openai: MockOpenAI, tmp_path: Path) -> Suite:
    return make_suite(tmp_path / "suites", mock_openai.base_url, cases=12)


def test_materializing_the_chain_stores_one_run_and_shows_what_a_person_wants_to_know(
    suite: Suite, workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    result = materialize(suite, workshop, instance)
    assert result.success
    (run,) = workshop.tools.runs.recent("orders", 10)
    assert (run.run_type, run.status, run.dagster_run_id) == ("manual", "completed", result.run_id)
    facts = shown(result, ["orders", "eval_score"])
    assert facts["score"] == float(run.score or 0)
    assert facts["standard error"] == float(run.se or 0)
    low, high = (float(bound) for bound in facts["95 % interval"].split(" to "))
    assert low < facts["score"] < high
    assert high - facts["score"] == pytest.approx(1.96 * facts["standard error"], abs=0.01)
    assert (facts["scored cases"], facts["unscored cases"], facts["coverage"]) == (12, 0, 1.0)
    assert facts["model"] == "mock-model"
    assert facts["judge"] == "mock-judge by rubric"
    assert facts["prompt hash"] == suite.prompt_hash
    assert facts["cost (USD)"] == "unknown: the model's price is not known"
    assert facts["latency p50 (s)"] <= facts["latency p95 (s)"]
    assert facts["suite"] == str(suite.folder / "suite.yaml")


def test_the_worst_cases_come_first_with_the_judges_words(
    suite: Suite, workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    result = materialize(suite, workshop, instance)
    (event,) = [
        event.materialization
        for event in result.all_events
        if event.is_step_materialization and event.asset_key == dg.AssetKey(["orders", "eval_score"])
    ]
    table = event.metadata["worst cases"]
    assert isinstance(table, dg.TableMetadataValue)
    scores = [float(str(record.data["score"])) for record in table.records]
    assert scores == sorted(scores)
    assert len(scores) == 10
    assert all("accuracy" in str(record.data["why"]) for record in table.records)


def table(result: dg.ExecuteInProcessResult, name: str) -> list[dict[str, str]]:
    """The rows of a table that `orders/eval_score` shows."""
    (event,) = [
        event.materialization
        for event in result.all_events
        if event.is_step_materialization and event.asset_key == dg.AssetKey(["orders", "eval_score"])
    ]
    shown = event.metadata[name]
    assert isinstance(shown, dg.TableMetadataValue)
    return [{key: str(value) for key, value in record.data.items()} for record in shown.records]


def test_the_cases_that_moved_most_stand_beside_the_run_before(
    suite: Suite, workshop: Workshop, instance: dg.DagsterInstance, engine: Engine
) -> None:
    first = materialize(suite, workshop, instance, tags={"evalops/run_type": "scheduled"})
    facts = shown(first, ["orders", "eval_score"])
    assert facts["compared with"] == "nothing: no earlier window has a valid scheduled run with this model"
    assert "cases that moved most" not in facts
    again = shown(materialize(suite, workshop, instance), ["orders", "eval_score"])
    (by_hand, scheduled) = workshop.tools.runs.recent("orders", 2)
    assert again["compared with"] == f"run {scheduled.id}, window {scheduled.partition_key}: no case moved"
    assert "cases that moved most" not in again

    with engine.begin() as connection:  # as if the answers had been better then, of case 3 worse, and by another prompt
        then = """
            UPDATE evalops.scores SET value = CASE case_id WHEN 'case-000003' THEN 1 ELSE 5 END
            WHERE eval_run_id = :run;
            UPDATE evalops.responses SET text = 'what it said then' WHERE eval_run_id = :run;
            UPDATE evalops.eval_runs SET comparability = comparability || '{"prompt": "old"}' WHERE id = :run;
        """
        connection.execute(text(then), {"run": scheduled.id})
        now = "CASE case_id WHEN 'case-000003' THEN 4.5 ELSE 2 END"
        connection.execute(
            text(f"UPDATE evalops.scores SET value = {now} WHERE eval_run_id = :run"),  # noqa: S608  # ours
            {"run": by_hand.id},
        )
    result = materialize(suite, workshop, instance, steps=("eval_score",))
    rows = table(result, "cases that moved most")
    assert len(rows) == 10
    assert [row["case"] for row in rows[:2]] == ["case-000003", "case-000000"]
    assert [row["change"] for row in rows[:3]] == ["+3.50", "▼ −3.00", "▼ −3.00"]
    assert (rows[1]["before"], rows[1]["after"]) == ("5.00", "2.00")
    assert {row["answer before"] for row in rows} == {"what it said then"}
    assert all(row["answer now"] not in ("", "–", "what it said then") for row in rows)
    assert all("accuracy" in row["why"] for row in rows)
    assert shown(result, ["orders", "eval_score"])["compared with"] == (
        f"run {scheduled.id}, window {scheduled.partition_key}: 10 of the 12 cases that moved are shown; since then "
        f"the prompt changed (old → {suite.prompt_hash})"
    )


def test_the_golden_cases_carry_the_dataset_s_hash_as_their_data_version(
    suite: Suite, workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    materialize(suite, workshop, instance)
    event = instance.get_latest_materialization_event(dg.AssetKey(["orders", "golden_cases"]))
    assert event is not None
    materialization = event.asset_materialization
    assert materialization is not None
    assert materialization.tags is not None
    assert materialization.tags["dagster/data_version"] == suite.dataset_hash


def test_only_scheduled_runs_enter_the_trend(suite: Suite, workshop: Workshop, instance: dg.DagsterInstance) -> None:
    by_hand = materialize(suite, workshop, instance)
    assert shown(by_hand, ["eval_trend"])["dagster/row_count"] == 0
    assert "No scheduled run" in shown(by_hand, ["eval_trend"])["note"]
    scheduled = materialize(suite, workshop, instance, tags={"evalops/run_type": "scheduled"})
    facts = shown(scheduled, ["eval_trend"])
    assert facts["dagster/row_count"] == 1
    assert facts["score orders"] == shown(scheduled, ["orders", "eval_score"])["score"]


def test_a_scheduled_window_that_is_done_is_shown_again_without_a_call(
    suite: Suite, workshop: Workshop, instance: dg.DagsterInstance, mock_openai: MockOpenAI
) -> None:
    tags = {"evalops/run_type": "scheduled"}
    first = materialize(suite, workshop, instance, tags=tags)
    calls = mock_openai.stats()["requests"]
    second = materialize(suite, workshop, instance, tags=tags)
    assert second.success
    assert mock_openai.stats()["requests"] == calls
    assert shown(second, ["orders", "responses"])["begun"] == "done before, nothing called"
    assert shown(second, ["orders", "eval_score"])["score"] == shown(first, ["orders", "eval_score"])["score"]


@pytest.mark.parametrize(("tags", "taken"), [({}, 12), ({"evalops/no_cache": "true"}, 0)])
def test_judgments_alone_judge_stored_answers_again_and_show_how_many_were_taken_from_the_cache(
    suite: Suite,
    workshop: Workshop,
    instance: dg.DagsterInstance,
    mock_openai: MockOpenAI,
    tags: dict[str, str],
    taken: int,
) -> None:
    first = materialize(suite, workshop, instance)
    again = materialize(suite, workshop, instance, steps=("judgments", "eval_score"), tags=tags)
    assert again.success
    assert mock_openai.stats()["by_kind"] == {"generate": 12, "judge": 24 - taken}
    assert len(workshop.tools.runs.recent("orders", 10)) == 2
    shown_as = [shown(result, ["orders", "judgments"])["judgments from the cache"] for result in (first, again)]
    assert shown_as == [0, taken]


def test_too_few_scored_cases_fail_the_coverage_check_and_leave_a_gap_instead_of_a_zero(
    suite: Suite, workshop: Workshop, instance: dg.DagsterInstance, mock_openai: MockOpenAI
) -> None:
    mock_openai.configure(rate_badjson=1.0)
    result = materialize(suite, workshop, instance)
    assert result.success
    (check,) = [check for check in result.get_asset_check_evaluations() if check.check_name == "coverage"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert check.description is not None
    assert check.description.startswith("coverage 0.0% is below 95%; 12 of 12 cases have no score")
    facts = shown(result, ["orders", "eval_score"])
    assert "score" not in facts
    assert "standard error" not in facts


def test_a_refused_key_fails_the_step_with_one_sentence(
    suite: Suite, workshop: Workshop, instance: dg.DagsterInstance, mock_openai: MockOpenAI
) -> None:
    mock_openai.configure(fail_status=401, fail_message="the key is not valid")
    result = materialize(suite, workshop, instance)
    (failure,) = [event for event in result.all_events if event.is_step_failure and event.step_failure_data.error]
    data = failure.step_failure_data.user_failure_data
    assert data is not None
    assert data.description is not None
    assert data.description.startswith("no case of orders got a response")
    assert "the key is not valid" in data.description


def test_progress_shows_as_a_few_log_lines_whatever_the_number_of_cases(
    workshop: Workshop, instance: dg.DagsterInstance, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    def events(cases: int) -> int:
        suite = make_suite(tmp_path / str(cases), mock_openai.base_url, cases=cases)
        quiet = Workshop(workshop.settings, workshop.engine, workshop.tools, report=None)
        result = materialize(suite, quiet, instance)
        logs = instance.all_logs(result.run_id)
        assert any("responses: " in (entry.user_message or "") for entry in logs)
        return len(logs)

    assert abs(events(400) - events(20)) <= 12


def test_steps_hand_each_other_nothing_so_that_no_pickle_is_written(
    suite: Suite, workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    assert materialize(suite, workshop, instance, steps=(*CHAIN, "trend")).success
    kept = [path for path in Path(instance.storage_directory()).rglob("*") if path.is_file()]
    assert kept, "the logs of what steps print"
    assert {path.parent.name for path in kept} == {"compute_logs"}


def test_dagster_keeps_its_tables_apart_from_ours(
    suite: Suite, workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    materialize(suite, workshop, instance)
    with workshop.engine.connect() as connection:
        found = connection.execute(
            text("SELECT table_schema FROM information_schema.tables WHERE table_name IN ('runs', 'eval_runs')")
        )
        assert sorted(found.scalars()) == ["dagster", "evalops"]


def test_a_run_that_is_to_confirm_another_is_a_manual_one_that_says_so(
    suite: Suite, workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    materialize(suite, workshop, instance, tags={"evalops/run_type": "scheduled"})
    (first,) = workshop.tools.runs.recent("orders", 1)
    materialize(suite, workshop, instance, steps=CHAIN[1:], tags={"evalops/confirms": str(first.id)})
    (second,) = workshop.tools.runs.recent("orders", 1)
    assert (second.run_type, second.status) == ("manual", "completed")
    with reading(workshop.engine) as tables:
        assert tables.statistics.confirming_run(first.id) == second


def test_a_run_that_was_launched_in_time_may_have_waited_in_the_queue_past_the_end_of_its_window(
    suite: Suite, workshop: Workshop, instance: dg.DagsterInstance, engine: Engine
) -> None:
    yesterday = window_of(workshop.tools.now() - timedelta(days=1), 24).key

    @dg.asset(key_prefix="a", name="queue")
    def queue(context: dg.AssetExecutionContext) -> None:
        launched = "UPDATE dagster.runs SET create_timestamp = create_timestamp - interval '1 day' WHERE run_id = :run"
        with engine.begin() as connection:
            assert connection.execute(text(launched), {"run": context.run.run_id}).rowcount == 1

    since = workshop.tools.now() - timedelta(days=2)
    built = build_definitions(suites={suite.feature: suite}, since=since, workshop=workshop)
    both = dg.Definitions.merge(built, dg.Definitions(assets=[queue]))
    chain = [dg.AssetKey([suite.feature, step]) for step in CHAIN]

    def run(*first: dg.AssetKey) -> bool:
        job = both.resolve_implicit_global_asset_job_def()
        return job.execute_in_process(
            instance=instance, partition_key=yesterday, asset_selection=[*first, *chain], raise_on_error=False
        ).success

    assert not run(), "launched now, its window has ended"
    assert run(queue.key)
    assert workshop.tools.runs.recent("orders", 1)[0].partition_key == yesterday
