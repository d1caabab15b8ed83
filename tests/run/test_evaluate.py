"""An eval run from end to end: real HTTP, real rows, and what happens when it is cut short."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from evalops_core.domain.budget import Caps
from evalops_core.domain.eval_run import EvalRun, RunType
from evalops_core.domain.score import Score, Unscored
from evalops_core.domain.suite import Suite
from evalops_core.domain.window import window_of
from evalops_core.errors import EvalOpsError
from evalops_core.run.begin import begin
from evalops_core.run.budget import Spending
from evalops_core.run.evaluate import answer, conclude, evaluate, score
from evalops_core.run.outcomes import outcomes as of_rows
from evalops_core.run.plan import Plan
from evalops_core.run.progress import Progress, silent
from evalops_core.suites.loader import load_suite
from evalops_core.wiring import Workshop
from tests.builders import make_suite, make_workshop
from tests.mock_fixture import MockOpenAI

FAULTS = {
    "rate_429": 0.05,
    "retry_after": "0.05",
    "rate_500": 0.02,
    "rate_reset": 0.02,
    "rate_hang": 0.01,
    "rate_cutoff": 0.02,
    "rate_truncated": 0.02,
    "rate_badjson": 0.05,
    "rate_badscore": 0.02,
}


def run(workshop: Workshop, suite: Suite, run_type: RunType = "manual", dagster_run_id: str | None = None) -> EvalRun:
    plan = workshop.plan(suite, run_type=run_type, dagster_run_id=dagster_run_id)
    return asyncio.run(evaluate(plan, workshop.tools, silent))


def outcomes(workshop: Workshop, plan: Plan, run: EvalRun) -> dict[str, Score | Unscored]:
    results = workshop.tools.results
    return of_rows(run, [case.id for case in plan.cases], results.responses(run.id), results.scores(run.id))


def test_the_list_of_prices_is_loaded_beside_the_event_loop_before_any_answer_is_there(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = workshop.plan(make_suite(tmp_path, mock_openai.base_url, cases=1), run_type="manual")
    in_loop: list[bool] = []

    def price(*_: object) -> None:
        in_loop.append(threading.current_thread() is threading.main_thread())

    async def connected() -> None:
        begun = begin(plan, workshop.tools.runs, workshop.tools.now())
        spending = Spending(begun.run, workshop.tools.ledger, Caps(), workshop.tools.now)
        async with workshop.tools.connect(plan, spending):
            pass

    monkeypatch.setattr("evalops_core.wiring.models.price", price)
    asyncio.run(connected())
    assert in_loop == [False]


def interrupt(workshop: Workshop, plan: Plan, when: Callable[[Progress], bool]) -> None:
    """Evaluate until `when`, then cancel as Dagster does: from outside, in the middle of whatever goes on."""

    async def scenario() -> None:
        def report(progress: Progress) -> None:
            if when(progress):
                task.cancel()

        task = asyncio.ensure_future(evaluate(plan, workshop.tools, report))
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())


def test_a_run_answers_and_judges_every_case_once_and_stores_its_score(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=20)
    done = run(workshop, suite)
    stats = mock_openai.stats()
    assert stats["by_kind"] == {"generate": 20, "judge": 20}
    assert stats["paid_again"] == {}
    assert (done.status, done.n, done.n_unscored, done.coverage) == ("completed", 20, 0, 1.0)
    assert (done.model_id, done.judge_model_id) == ("mock-model", "mock-judge")
    plan = workshop.plan(suite, run_type="manual")
    values = [o.value for o in outcomes(workshop, plan, done).values() if isinstance(o, Score)]
    assert done.score is not None
    assert float(done.score) == pytest.approx(sum(values) / 20, abs=0.0005)
    assert done.breakdown.keys() == {"judge.accuracy", "judge.clarity"}
    expected = (2 * done.breakdown["judge.accuracy"] + done.breakdown["judge.clarity"]) / 3
    assert float(done.score) == pytest.approx(expected, abs=0.001)


def test_tokens_are_counted_and_a_price_that_nobody_knows_is_not_zero(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    done = run(workshop, make_suite(tmp_path, mock_openai.base_url, cases=3))
    stats = mock_openai.stats()
    assert (done.prompt_tokens, done.completion_tokens) == (stats["prompt_tokens"], stats["completion_tokens"])
    assert done.cost_usd is None


def test_the_model_is_recorded_as_the_endpoint_resolved_it(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    mock_openai.configure(resolved_model="mock-model-2026-11-01")
    done = run(workshop, make_suite(tmp_path, mock_openai.base_url, cases=2))
    assert done.model_id == "mock-model-2026-11-01"
    assert done.comparability.model == "mock-model-2026-11-01"


@pytest.mark.parametrize("stage", ["responses", "judgments"])
@pytest.mark.parametrize("run_type", ["manual", "scheduled"])
def test_an_interrupted_run_goes_on_without_paying_a_stored_result_again(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path, stage: str, run_type: RunType
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=30)
    plan = workshop.plan(suite, run_type=run_type, dagster_run_id="first")
    interrupt(workshop, plan, lambda progress: progress.stage == stage and progress.done >= 10)
    first = workshop.tools.runs.latest(suite.feature, plan.window.key)
    assert first is not None
    assert first.status == "running"
    stored = len(workshop.tools.results.responses(first.id)), len(workshop.tools.results.scores(first.id)) // 2
    before = mock_openai.stats()["by_kind"]
    done = run(workshop, suite, run_type, dagster_run_id="second")
    after = mock_openai.stats()["by_kind"]
    assert done.id == first.id
    assert (done.status, done.n) == ("completed", 30)
    assert after["generate"] - before["generate"] == 30 - stored[0]
    assert after["judge"] - before.get("judge", 0) == 30 - stored[1]
    assert stored[0] >= 10, "what was done before the interruption was kept"


def test_a_finished_scheduled_run_is_never_called_again_in_its_window(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=5)
    first = run(workshop, suite, "scheduled", "first")
    changed = make_suite(tmp_path, mock_openai.base_url, cases=5, prompt="Please: {{ input }}")
    second = run(workshop, changed, "scheduled", "second")
    assert second == first
    assert mock_openai.stats()["requests"] == 10


def test_each_manual_run_is_new_once_the_one_before_is_finished(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=5)
    first, second = run(workshop, suite, dagster_run_id="one"), run(workshop, suite, dagster_run_id="two")
    assert first.id != second.id
    assert first.score == second.score
    assert mock_openai.stats()["by_kind"] == {"generate": 10, "judge": 5}, "judgments are taken, answers never"


def test_results_of_another_prompt_are_not_continued(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=10)
    plan = workshop.plan(suite, run_type="scheduled")
    interrupt(workshop, plan, lambda progress: progress.done >= 5)
    changed = make_suite(tmp_path, mock_openai.base_url, cases=10, prompt="Please: {{ input }}")
    done = run(workshop, changed, "scheduled")
    old = workshop.tools.runs.recent(suite.feature, 10)[-1]
    assert old.id != done.id
    assert (old.status, old.status_reason) == ("failed", "the suite or the model changed before the run was finished")
    assert done.n == 10


def test_an_invalid_scheduled_run_of_an_older_suite_gives_way_to_a_new_one(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=5)
    mock_openai.configure(rate_badjson=1.0)
    invalid = run(workshop, suite, "scheduled")
    assert invalid.status == "invalid"
    mock_openai.reset()
    mended = make_suite(tmp_path, mock_openai.base_url, cases=5, prompt="Please: {{ input }}")
    done = run(workshop, mended, "scheduled")
    assert (done.status, workshop.tools.runs.get(invalid.id).status) == ("completed", "failed")
    assert done.id != invalid.id


def test_faults_leave_every_case_scored_or_with_its_reason_and_the_mean_unmoved(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=200)
    plan = workshop.plan(suite, run_type="manual")
    clean = outcomes(workshop, plan, run(workshop, suite, dagster_run_id="clean"))
    mock_openai.reset()
    mock_openai.configure(**FAULTS)
    asked_anew = replace(plan, dagster_run_id="faulty", use_cache=False)
    faulty = asyncio.run(evaluate(asked_anew, workshop.tools, silent))
    assert sum(mock_openai.outcomes().values()) > 420, "faults were really injected"
    seen = outcomes(workshop, plan, faulty)
    assert seen.keys() == clean.keys()
    for case, outcome in seen.items():
        if isinstance(outcome, Unscored):
            assert outcome.reason
        else:
            assert outcome == clean[case], "a fault never shows as another score"
    assert faulty.n is not None
    assert faulty.n >= 195
    assert mock_openai.stats()["in_flight"] == 0


def test_calls_that_fail_for_good_make_the_run_invalid_and_are_tried_again_next_time(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=20)
    mock_openai.configure(rate_500=0.45)
    impatient = make_workshop(workshop.engine, workshop.settings.model_copy(update={"call_max_attempts": 1}))
    first = run(impatient, suite, "scheduled", "first")
    assert first.status == "invalid"
    assert first.status_reason is not None
    assert "coverage" in first.status_reason
    assert "TransientError" in first.status_reason
    stored = len([r for r in workshop.tools.results.responses(first.id) if r.error_class is None])
    mock_openai.reset()
    second = run(workshop, suite, "scheduled", "second")
    assert (second.id, second.status, second.n) == (first.id, "completed", 20)
    assert mock_openai.stats()["by_kind"]["generate"] == 20 - stored


def test_a_run_without_any_response_fails_and_leaves_the_window_free(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=4)
    mock_openai.configure(fail_status=401, fail_message="bad key")
    with pytest.raises(EvalOpsError, match=r"no case of orders got a response: .*401.*bad key"):
        run(workshop, suite, "scheduled")
    mock_openai.reset()
    assert run(workshop, suite, "scheduled").status == "completed"


def test_an_endpoint_that_is_down_is_not_asked_for_every_case(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=200)
    mock_openai.configure(fail_status=401, fail_message="bad key")
    with pytest.raises(EvalOpsError, match="bad key"):
        run(workshop, suite, "scheduled")
    assert 20 <= mock_openai.stats()["requests"] <= 40


def test_an_endpoint_that_went_down_stops_a_resumed_run_as_partial_and_keeps_what_it_has(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=200)
    interrupt(workshop, workshop.plan(suite, run_type="scheduled"), lambda progress: progress.done >= 30)
    mock_openai.configure(fail_status=401, fail_message="bad key")
    stopped = run(workshop, suite, "scheduled")
    assert stopped.status == "partial"
    assert "none of the first 20" in str(stopped.status_reason)
    mock_openai.reset()
    assert run(workshop, suite, "scheduled").n == 200


def test_a_changed_rubric_judges_the_stored_answers_without_paying_for_them_again(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=6)
    first = run(workshop, suite, "scheduled", "first")
    folder = suite.folder / "suite.yaml"
    folder.write_text(folder.read_text().replace("weight: 2", "weight: 9").replace("5 is clear.", "5 is plain."))
    changed = workshop.plan(
        load_suite(suite.folder), run_type="manual", partition_key=first.partition_key, dagster_run_id="rescore"
    )
    asyncio.run(score(changed, workshop.tools, silent))
    second, _ = conclude(changed, workshop.tools)
    assert (second.run_type, second.n) == ("manual", 6)
    assert second.id != first.id
    assert workshop.tools.runs.get(first.id) == first, "history stays as it was"
    assert mock_openai.stats()["by_kind"] == {"generate": 6, "judge": 12}
    expected = (9 * second.breakdown["judge.accuracy"] + second.breakdown["judge.clarity"]) / 10
    assert float(second.score or 0) == pytest.approx(expected, abs=0.001)


def test_a_score_is_recomputed_as_it_was_judged_whatever_became_of_the_suite(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=5)
    first = run(workshop, suite, "manual", "first")
    file = suite.folder / "suite.yaml"
    file.write_text(file.read_text().replace("weight: 2", "weight: 9"))
    (suite.folder / "cases.jsonl").write_text('{"id": "another", "input": "x", "reference": "y"}\n')
    plan = workshop.plan(load_suite(suite.folder), run_type="manual", dagster_run_id="first")
    again, _ = conclude(plan, workshop.tools)
    assert (again.id, again.score, again.se, again.n) == (first.id, first.score, first.se, 5)


def test_a_rubric_changed_while_judging_judges_a_copy_instead_of_mixing_two_rubrics(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=12)
    plan = workshop.plan(suite, run_type="manual", dagster_run_id="root")
    interrupt(workshop, plan, lambda progress: progress.stage == "judgments" and progress.done >= 4)
    file = suite.folder / "suite.yaml"
    file.write_text(file.read_text().replace("weight: 2", "weight: 9"))
    changed = workshop.plan(load_suite(suite.folder), run_type="manual", dagster_run_id="root")
    asyncio.run(score(changed, workshop.tools, silent))
    done, _ = conclude(changed, workshop.tools)
    assert (done.status, done.n) == ("completed", 12)
    assert done.comparability.scorers == changed.scorers_version
    assert mock_openai.stats()["by_kind"]["generate"] == 12


def test_answers_of_another_prompt_are_not_judged_as_if_they_were_of_this_one(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    run(workshop, make_suite(tmp_path, mock_openai.base_url, cases=3), "scheduled", "first")
    changed = make_suite(tmp_path, mock_openai.base_url, cases=3, prompt="Please: {{ input }}")
    plan = workshop.plan(changed, run_type="manual", dagster_run_id="rescore")
    with pytest.raises(EvalOpsError, match=r"another prompt of orders: materialize orders/responses too"):
        asyncio.run(score(plan, workshop.tools, silent))


def test_somebody_elses_unfinished_run_is_neither_judged_nor_finished(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=10)
    theirs = workshop.plan(suite, run_type="scheduled", dagster_run_id="theirs")
    interrupt(workshop, theirs, lambda progress: progress.done >= 5)
    mine = workshop.plan(suite, run_type="manual", dagster_run_id="mine")
    with pytest.raises(EvalOpsError, match="no finished responses of orders"):
        asyncio.run(score(mine, workshop.tools, silent))
    with pytest.raises(EvalOpsError, match="no finished responses of orders"):
        conclude(mine, workshop.tools)


def test_the_same_model_at_another_endpoint_does_not_continue_an_interrupted_run(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=10)
    interrupt(workshop, workshop.plan(suite, run_type="manual"), lambda progress: progress.done >= 5)
    elsewhere = make_suite(tmp_path, mock_openai.base_url.replace("127.0.0.1", "localhost"), cases=10)
    assert workshop.plan(elsewhere, run_type="manual").key == workshop.plan(suite, run_type="manual").key
    run(workshop, elsewhere)
    assert mock_openai.stats()["by_kind"]["generate"] >= 15


@pytest.mark.parametrize(("days", "why"), [(-1, "has ended"), (1, "has not begun")])
def test_a_window_that_is_not_open_is_refused_with_the_one_that_is_and_nothing_is_called(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path, days: int, why: str
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=2)
    now = workshop.tools.now()
    other = window_of(now + timedelta(days=days), 24)
    plan = workshop.plan(suite, run_type="manual", partition_key=other.key)
    with pytest.raises(EvalOpsError, match=rf"window {other.key} of orders {why}.*evaluate window {now:%Y-%m-%d}"):
        asyncio.run(evaluate(plan, workshop.tools, silent))
    assert (mock_openai.stats()["requests"], workshop.tools.runs.recent("orders", 1)) == (0, [])


def test_a_run_that_was_launched_in_time_may_start_after_its_window_has_ended(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=2)
    yesterday = window_of(workshop.tools.now() - timedelta(days=1), 24)
    plan = workshop.plan(suite, run_type="manual", partition_key=yesterday.key, asked_at=yesterday.start)
    assert asyncio.run(evaluate(plan, workshop.tools, silent)).status == "completed"


def test_past_windows_can_be_allowed(workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path) -> None:
    allowing = make_workshop(workshop.engine, workshop.settings.model_copy(update={"allow_past_windows": True}))
    suite = make_suite(tmp_path, mock_openai.base_url, cases=2)
    past = window_of(workshop.tools.now() - timedelta(days=3), 24)
    plan = allowing.plan(suite, run_type="manual", partition_key=past.key)
    assert asyncio.run(evaluate(plan, allowing.tools, silent)).partition_key == past.key


def test_a_run_left_over_from_a_window_that_has_ended_is_closed_by_the_next(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=10)
    yesterday = window_of(workshop.tools.now() - timedelta(days=1), 24)
    old = workshop.plan(suite, run_type="scheduled", partition_key=yesterday.key, asked_at=yesterday.start)
    interrupt(workshop, old, lambda progress: progress.done >= 5)
    run(workshop, suite, "scheduled")
    left = workshop.tools.runs.recent("orders", 10)[-1]
    assert (left.status, left.status_reason) == ("failed", "its window ended before it was finished")


def test_judging_before_anything_was_answered_says_what_to_do(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    plan = workshop.plan(make_suite(tmp_path, mock_openai.base_url), run_type="manual")
    with pytest.raises(EvalOpsError, match="materialize orders/responses"):
        asyncio.run(score(plan, workshop.tools, silent))


def test_a_limit_takes_the_first_cases_and_makes_the_run_another_kind(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=10)
    plan = workshop.plan(suite, run_type="manual", limit=3)
    done = asyncio.run(evaluate(plan, workshop.tools, silent))
    assert (done.n, done.comparability.cases) == (3, 3)
    assert done.comparability.digest != replace(done.comparability, cases=None).digest


def test_repeats_are_asked_separately_and_count_as_one_case(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    done = run(workshop, make_suite(tmp_path, mock_openai.base_url, cases=4, repeats=3))
    assert mock_openai.stats()["by_kind"] == {"generate": 12, "judge": 12}
    assert done.n == 4


def test_without_a_judge_the_fallbacks_score_and_the_run_says_so(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    ruled = make_workshop(workshop.engine, workshop.settings.model_copy(update={"judge_model": None}))
    done = run(ruled, make_suite(tmp_path, mock_openai.base_url, cases=3))
    assert mock_openai.stats()["by_kind"] == {"generate": 3}
    assert done.judge_model_id is None
    assert done.comparability.judge is None
    assert done.breakdown.keys() == {"contains.contains"}


def test_two_evaluations_at_once_store_a_scheduled_window_once(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=5)
    plan = workshop.plan(suite, run_type="scheduled")

    async def both() -> None:
        await asyncio.gather(*(answer(plan, workshop.tools, silent) for _ in range(2)))

    asyncio.run(both())
    assert len(workshop.tools.runs.recent(suite.feature, 10)) == 1
