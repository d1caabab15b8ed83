"""What a run is expected to cost, before and after there is anything to go by."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from evalops_core.domain.eval_run import RunType
from evalops_core.domain.suite import Suite
from evalops_core.run.cost import CostPlan, plan_cost
from evalops_core.run.evaluate import answer, evaluate
from evalops_core.run.plan import Plan
from evalops_core.run.progress import silent
from evalops_core.wiring import Workshop
from tests.builders import JUDGED, judge_settings, make_suite, make_workshop
from tests.mock_fixture import MockOpenAI

PRICES = {name: {"input_per_mtok": "1", "output_per_mtok": "2"} for name in ("mock-model", "mock-judge")}


def workshop(engine: Engine, mock: MockOpenAI, home: Path, **more: Any) -> Workshop:
    return make_workshop(engine, judge_settings(mock.base_url, home, **{"prices": PRICES, **more}))


@pytest.fixture
def priced(engine: Engine, mock_openai: MockOpenAI, tmp_path: Path) -> Workshop:
    return workshop(engine, mock_openai, tmp_path)


def planned(priced: Workshop, suite: Suite, run_type: RunType = "manual") -> tuple[Plan, CostPlan]:
    plan = priced.plan(suite, run_type=run_type)
    return plan, plan_cost(plan, priced.tools)


def test_without_history_the_texts_are_counted_and_max_tokens_bounds_the_answers(
    priced: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    yaml = JUDGED.replace("temperature: 0", "max_tokens: 120")
    _, cost = planned(priced, make_suite(tmp_path, mock_openai.base_url, cases=20, repeats=2, yaml=yaml))
    answers, judgments = cost.parts
    assert (answers.calls, judgments.calls, cost.calls) == (40, 40, 80)
    assert answers.completion_tokens == 40 * 120
    assert answers.cost_usd == (Decimal(answers.prompt_tokens) + 2 * answers.completion_tokens) / 1_000_000
    assert "120 tokens an answer: as many as max_tokens allows" in str(cost)
    assert "120 tokens an answer: a guess" in str(judgments), "60 for each of two axes"
    assert judgments.prompt_tokens > answers.prompt_tokens + answers.completion_tokens
    assert mock_openai.stats()["requests"] == 0
    assert priced.tools.runs.recent("orders", 1) == []


def test_with_history_the_estimate_is_what_the_same_run_cost_before(
    priced: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=20)
    done = asyncio.run(evaluate(priced.plan(suite, run_type="manual"), priced.tools, silent))
    _, cost = planned(priced, suite)
    assert done.cost_usd is not None
    assert cost.cost_usd is not None
    assert float(cost.cost_usd) == pytest.approx(float(done.cost_usd), rel=0.03), "means are rounded up"
    assert "the mean of 20 earlier calls" in str(cost)


def test_what_is_done_is_not_counted_again(priced: Workshop, mock_openai: MockOpenAI, tmp_path: Path) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=6)
    plan = priced.plan(suite, run_type="scheduled")
    asyncio.run(answer(plan, priced.tools, silent))
    _, half = planned(priced, suite, "scheduled")
    assert ([part.calls for part in half.parts], half.done) == ([0, 6], 6)
    asyncio.run(evaluate(plan, priced.tools, silent))
    _, nothing = planned(priced, suite, "scheduled")
    assert (nothing.calls, nothing.done, nothing.cost_usd) == (0, 12, 0)


def test_an_unknown_price_makes_the_cost_unknown_and_is_named(
    engine: Engine, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    unpriced = workshop(engine, mock_openai, tmp_path, prices={"mock-judge": PRICES["mock-judge"]})
    _, cost = planned(unpriced, make_suite(tmp_path, mock_openai.base_url, cases=2))
    assert cost.cost_usd is None
    assert cost.unpriced == ("mock-model",)
    assert "cost unknown" in str(cost)
    assert "nobody knows the price of mock-model; EVALOPS_PRICES can tell it" in str(cost)


def test_without_a_judge_only_answers_are_counted(priced: Workshop, mock_openai: MockOpenAI, tmp_path: Path) -> None:
    ruled = make_workshop(priced.engine, priced.settings.model_copy(update={"judge_model": None}))
    _, cost = planned(ruled, make_suite(tmp_path, mock_openai.base_url, cases=2))
    assert [part.purpose for part in cost.parts] == ["eval.generate"]
