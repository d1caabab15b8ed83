"""What a run's rows add up to, whatever the number of chunks that they are read in."""

import random
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine

from evalops_core.domain.eval_run import EvalRun, Response, ScoreRow
from evalops_core.domain.score import Score, Unscored, summarise
from evalops_core.domain.suite import Case
from evalops_core.run import tally as module
from evalops_core.run.outcomes import outcomes
from evalops_core.run.plan import Plan
from evalops_core.run.tally import Tally, tally
from evalops_core.store.results import CaseResults
from evalops_core.store.runs import EvalRuns, NewRun
from evalops_core.wiring import Workshop
from tests.builders import make_suite

CASES = 23


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evalops_core.run.plan.CHUNK", 5)
    monkeypatch.setattr(module, "CHUNK", 5)


@pytest.fixture
def plan(workshop: Workshop, tmp_path: Path) -> Plan:
    suite = replace(make_suite(tmp_path, "http://127.0.0.1:9/v1", cases=CASES), repeats=2)
    return workshop.plan(suite, run_type="manual")


@pytest.fixture
def run(engine: Engine, plan: Plan) -> EvalRun:
    weights = {f"{scorer}.{axis}": weight for (scorer, axis), weight in plan.weights.items()}
    new = NewRun(
        feature="orders", window=plan.window, run_type="manual", comparability=plan.key, plan_key="p", weights=weights
    )
    made = EvalRuns(engine).insert(new)
    assert made is not None
    return made


def failed(case: str, repeat: int, group: str | None, why: str) -> Response:
    return Response(case, repeat, case_group=group, attempts=3, error_class="TransientError", error_text=why)


def answered(case: str, repeat: int, group: str | None, number: int) -> Response:
    return Response(
        case,
        repeat,
        text=f"answer {number}.{repeat}",
        case_group=group,
        model="m-1",
        latency_s=number / 10,
        prompt_tokens=10,
        completion_tokens=number,
        cost_usd=Decimal("0.001"),
    )


def paid(row: ScoreRow) -> ScoreRow:
    return replace(row, model="j-1", prompt_tokens=5, completion_tokens=2, cost_usd=Decimal("0.01"))


def stored(engine: Engine, run: EvalRun, plan: Plan) -> tuple[list[Response], list[ScoreRow]]:
    """Two repeats of every case: some failed, some unscored, in five groups and none."""
    generator = random.Random(7)
    responses: list[Response] = []
    scores: list[ScoreRow] = []
    for number, case in enumerate(plan.cases):
        group = f"source {number % 5}" if number % 3 else None
        for repeat in range(2):
            if number % 7 == 6:
                responses.append(failed(case.id, repeat, group, f"host answered 500: {number}"))
                continue
            responses.append(answered(case.id, repeat, group, number))
            for axis in ("accuracy", "clarity"):
                bad = number % 11 == 10 and axis == "clarity"
                outcome = Unscored("no number in it") if bad else Score(float(generator.randint(1, 5)))
                row = ScoreRow(case.id, repeat, "judge", axis, outcome, "why")
                scores.append(paid(row) if axis == "accuracy" else row)
    results = CaseResults(engine)
    results.save_responses(run.id, responses)
    results.save_scores(run.id, scores)
    return responses, scores


def test_the_summary_is_that_of_all_cases_at_once(engine: Engine, run: EvalRun, plan: Plan) -> None:
    responses, scores = stored(engine, run, plan)
    found = tally(run, plan, CaseResults(engine))
    all_at_once = outcomes(run, [case.id for case in plan.cases], responses, scores)
    expected = summarise(all_at_once, {r.case_id: r.case_group for r in responses})
    assert replace(found.summary, axes={}) == expected
    assert found.summary.se != summarise(all_at_once).se, "groups count, across chunks"
    assert set(found.summary.axes) == {"judge.accuracy", "judge.clarity"}
    accuracy = [s for s in scores if s.axis == "accuracy" and isinstance(all_at_once[s.case_id], Score)]
    values = [s.outcome.value for s in accuracy if isinstance(s.outcome, Score)]
    assert found.summary.axes["judge.accuracy"] == pytest.approx(sum(values) / len(values))
    assert found.reasons == {"no response (TransientError): host answered 500": 3, "judge.clarity: no number in it": 2}
    assert found.complete


def test_calls_tokens_and_costs_are_summed_apart_and_together(engine: Engine, run: EvalRun, plan: Plan) -> None:
    responses, _ = stored(engine, run, plan)
    found = tally(run, plan, CaseResults(engine))
    answered = [r for r in responses if r.error_class is None]
    assert (found.answered, found.failed, found.attempts) == (len(answered), 6, len(answered) + 18)
    assert found.answers.completion_tokens == sum(r.completion_tokens or 0 for r in answered)
    assert (found.judgments.count, found.judgments.prompt_tokens) == (len(answered), 5 * len(answered))
    assert found.calls.cost_usd == len(answered) * Decimal("0.011")
    assert (found.model, found.judge) == ("m-1", "j-1")
    assert found.latency is not None
    assert [failure.case_id for failure in found.failures] == sorted(r.case_id for r in responses if r.error_class)
    assert found.axis_rows["judge.accuracy"][1] == len(answered)
    assert found.unscored_rows == {"judge.clarity: no number in it": 4}


def test_a_sum_with_an_unknown_part_is_unknown_and_one_of_nothing_is_zero(
    engine: Engine, run: EvalRun, plan: Plan
) -> None:
    results = CaseResults(engine)
    first, second = plan.cases[0].id, plan.cases[1].id
    results.save_responses(run.id, [Response(first, 0, text="a", prompt_tokens=3, cost_usd=Decimal(1))])
    results.save_responses(run.id, [Response(second, 0, text="b", prompt_tokens=4)])
    found = tally(run, plan, results)
    assert (found.answers.prompt_tokens, found.answers.completion_tokens, found.answers.cost_usd) == (7, None, None)
    assert (found.judgments.count, found.judgments.cost_usd) == (0, Decimal(0))
    assert found.calls.cost_usd is None
    assert not found.complete
    assert found.summary.n_unscored == CASES


def test_the_worst_cases_are_those_of_the_whole_run(engine: Engine, run: EvalRun, plan: Plan) -> None:
    responses, scores = stored(engine, run, plan)
    found = tally(run, plan, CaseResults(engine), worst_cases=8)
    all_at_once = outcomes(run, [case.id for case in plan.cases], responses, scores)
    ranked = sorted(all_at_once, key=lambda case: (o.value if isinstance(o := all_at_once[case], Score) else 0.0, case))
    assert [fact.case_id for fact in found.worst] == ranked[:8]
    lowest = found.worst[-1]
    assert lowest.input == f"input: [{lowest.case_id}] What about my order?"
    assert lowest.why == "accuracy: why; clarity: why"


def test_the_cases_of_a_run_that_today_s_suite_has_no_more_still_count(
    engine: Engine, run: EvalRun, plan: Plan
) -> None:
    stored(engine, run, plan)
    before = tally(run, plan, CaseResults(engine))
    changed = replace(plan, suite=replace(plan.suite, cases=(Case("new"), *plan.cases[2:])))
    found = tally(run, changed, CaseResults(engine), worst_cases=CASES)
    assert found.summary == before.summary
    assert {fact.case_id for fact in found.worst} == {case.id for case in plan.cases[2:]}


def test_reasons_that_all_differ_are_not_all_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REASONS", 2)
    found = Tally()
    rows = [ScoreRow(f"c{n}", 0, "s", "a", Unscored(f"reason {n}")) for n in range(5)]
    module._add_rows(found, [], rows, set())  # pyright: ignore[reportPrivateUsage]  # no run has a thousand reasons
    assert found.unscored_rows == {"s.a: reason 0": 1, "s.a: reason 1": 1, "other reasons": 3}
