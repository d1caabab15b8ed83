"""What a paid embedding endpoint costs: in the ledger, under the caps, on the rows and in the plan, as a judge does."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from evalops_core.domain.eval_run import EvalRun, ScoreRow
from evalops_core.domain.suite import Suite
from evalops_core.errors import ConfigError
from evalops_core.run.cost import CostPlan, plan_cost
from evalops_core.run.evaluate import answer, conclude, evaluate, score
from evalops_core.run.progress import silent
from evalops_core.settings import Settings
from evalops_core.wiring import Workshop
from tests.builders import JUDGED, judge_settings, make_suite, make_workshop
from tests.mock_fixture import MockOpenAI

EACH = Decimal(10)  # US dollars per million tokens, of every model and in both directions
PRICES = {
    name: {"input_per_mtok": str(EACH), "output_per_mtok": str(EACH)}
    for name in ("mock-model", "mock-judge", "mock-embedding")
}
ALIKE = """\
model: {name: mock-model, base_url: "%(base_url)s", parameters: {temperature: 0}}
prompt:
  - {role: user, content: "%(prompt)s"}
scorers:
  - {type: similarity}
repeats: %(repeats)d
interval: 24
"""
BOTH = JUDGED.replace(
    "repeats:", "  - {type: similarity, name: one}\n  - {type: similarity, name: two, weight: 0}\nrepeats:"
)
WORST = Decimal("0.0050")  # of embedding an answer of the mock and its reference, a little rounded up

Build = Callable[..., Workshop]


@pytest.fixture
def build(engine: Engine, mock_openai: MockOpenAI, tmp_path: Path) -> Build:
    """Workshops over the mock as model, judge and paid embedding model, all priced, and whatever else is set."""

    def build(**more: Any) -> Workshop:
        ours = {"embedding_model": "mock-embedding", "embedding_base_url": mock_openai.base_url}
        given = {"prices": PRICES, "judge_parameters": {"max_tokens": 100}, **ours, **more}
        return make_workshop(engine, judge_settings(mock_openai.base_url, tmp_path / "home", **given))

    return build


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch, mock_openai: MockOpenAI) -> None:
    """The embedded models' server is the mock."""

    class Server:
        url, engines = mock_openai.base_url, 1

        def start(self) -> "Server":
            return self

        def status(self) -> "Server":
            return self

    def model_server(settings: Settings) -> Server:
        return Server()

    monkeypatch.setattr("evalops_core.wiring.connections.model_server", model_server)


def run(workshop: Workshop, suite: Suite) -> EvalRun:
    return asyncio.run(evaluate(workshop.plan(suite, run_type="manual"), workshop.tools, silent))


def answered(workshop: Workshop, suite: Suite) -> EvalRun:
    return asyncio.run(answer(workshop.plan(suite, run_type="manual"), workshop.tools, silent)).run


def scored(workshop: Workshop, suite: Suite, begun: EvalRun) -> EvalRun:
    plan = workshop.plan(suite, run_type="manual")
    asyncio.run(score(plan, workshop.tools, silent, begun))
    return conclude(plan, workshop.tools, begun)[0]


def planned(workshop: Workshop, suite: Suite) -> CostPlan:
    return plan_cost(workshop.plan(suite, run_type="manual"), workshop.tools)


def rows_of(workshop: Workshop, done: EvalRun, *scorers: str) -> list[ScoreRow]:
    return [row for row in workshop.tools.results.scores(done.id) if row.scorer in scorers]


def bill(mock: MockOpenAI) -> Decimal:
    """What the endpoint charges for all that it answered, those included that nobody could read."""
    stats = mock.stats()
    return EACH * (stats["prompt_tokens"] + stats["completion_tokens"]) / 1_000_000


def today() -> date:
    return datetime.now(timezone.utc).date()


def test_every_embedding_call_is_in_the_ledger_as_judging_with_what_the_endpoint_counted(
    build: Build, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    workshop = build()
    done = run(workshop, make_suite(tmp_path, mock_openai.base_url, cases=20, yaml=ALIKE))
    answers, embeddings = workshop.tools.ledger.of_run(done.id)
    assert (embeddings.purpose, embeddings.model, embeddings.calls) == ("eval.judge", "mock-embedding", 20)
    assert embeddings.completion_tokens == 0
    assert (answers.prompt_tokens or 0) + (embeddings.prompt_tokens or 0) == mock_openai.stats()["prompt_tokens"]
    assert (answers.settled_usd or 0) + (embeddings.settled_usd or 0) == bill(mock_openai)
    assert mock_openai.stats()["by_kind"] == {"generate": 20, "embed": 20}


def test_the_cost_and_tokens_of_a_run_hold_its_embeddings(
    build: Build, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    workshop, stats = build(), mock_openai.stats
    done = run(workshop, make_suite(tmp_path, mock_openai.base_url, cases=5, yaml=ALIKE))
    assert done.cost_usd == bill(mock_openai)
    assert (done.prompt_tokens, done.completion_tokens) == (stats()["prompt_tokens"], stats()["completion_tokens"])
    for row in rows_of(workshop, done, "similarity"):
        assert row.model == "mock-embedding"
        assert row.cost_usd == EACH * (row.prompt_tokens or 0) / 1_000_000 > 0
        assert (row.rationale or "").startswith("embedding 0.")


def test_an_embedding_model_is_never_the_judge_of_a_run(build: Build, mock_openai: MockOpenAI, tmp_path: Path) -> None:
    ruled = run(build(), make_suite(tmp_path, mock_openai.base_url, cases=3, yaml=ALIKE))
    assert (ruled.judge_model_id, ruled.comparability.judge) == (None, None)
    workshop = build()
    judged = run(workshop, make_suite(tmp_path, mock_openai.base_url, cases=3, yaml=BOTH))
    assert len([row for row in rows_of(workshop, judged, "one", "two") if row.model == "mock-embedding"]) == 6
    assert (judged.judge_model_id, judged.comparability.judge) == ("mock-judge", "mock-judge")
    assert judged.cost_usd == sum((row.settled_usd or Decimal(0)) for row in workshop.tools.ledger.of_run(judged.id))


def test_a_price_given_for_the_name_asked_for_holds_for_what_it_resolves_to(
    build: Build, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    mock_openai.configure(resolved_model="mock-2026-11-01")
    workshop = build()
    done = run(workshop, make_suite(tmp_path, mock_openai.base_url, cases=2, yaml=ALIKE))
    assert {row.model for row in workshop.tools.ledger.of_run(done.id)} == {"mock-2026-11-01"}
    assert done.cost_usd == bill(mock_openai)


def test_an_unknown_price_or_token_count_of_embeddings_makes_the_cost_unknown_and_not_zero(
    build: Build, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=2, yaml=ALIKE)
    unpriced = build(prices={"mock-model": PRICES["mock-model"]})
    done = run(unpriced, suite)
    _, embeddings = unpriced.tools.ledger.of_run(done.id)
    assert (done.cost_usd, embeddings.settled_usd, embeddings.unpriced_calls) == (None, None, 2)
    priced = build()
    begun = answered(priced, suite)
    mock_openai.configure(usage=False)
    untold = scored(priced, suite, begun)
    assert (untold.status, untold.cost_usd, untold.prompt_tokens) == ("completed", None, None)


def test_a_run_cap_that_embeddings_reach_stops_the_run_as_partial_and_is_never_exceeded(
    build: Build, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=60, yaml=ALIKE)
    begun = answered(build(), suite)
    cap = bill(mock_openai) + Decimal("0.03")
    capped = build(hard_cap_run_usd=cap)
    done = scored(capped, suite, begun)
    assert done.status == "partial"
    assert "for one eval run is reached" in (done.status_reason or "")
    assert 0 < (done.n or 0) < 60
    assert cap - WORST < bill(mock_openai) <= cap
    assert done.cost_usd == bill(mock_openai), "every embedding that was paid is stored"
    assert capped.tools.ledger.totals(done.id, today())[0].reserved_usd == 0
    whole = run(build(), suite)
    assert (whole.id, whole.status, whole.n, whole.cost_usd) == (done.id, "completed", 60, bill(mock_openai))
    assert mock_openai.stats()["paid_again"] == {}


def test_a_cap_on_the_day_stops_embeddings_before_the_first_one(
    build: Build, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=5, yaml=ALIKE)
    begun = answered(build(), suite)
    done = scored(build(hard_cap_day_usd=bill(mock_openai)), suite, begun)
    assert (done.status, done.n) == ("partial", 0)
    assert "for one day is reached" in (done.status_reason or "")
    assert mock_openai.stats()["by_kind"] == {"generate": 5}


def test_embeddings_that_fail_after_they_were_paid_stay_under_the_cap(
    build: Build, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=100, yaml=ALIKE)
    begun = answered(build(max_concurrency=50), suite)
    cap = bill(mock_openai) + Decimal("0.15")
    mock_openai.configure(rate_cutoff=0.2, rate_truncated=0.2, rate_429=0.1, retry_after="0")
    capped = build(hard_cap_run_usd=cap, max_concurrency=50)
    done = scored(capped, suite, begun)
    spent, _ = capped.tools.ledger.totals(done.id, today())
    assert done.status == "partial"
    assert bill(mock_openai) <= spent.spent_usd <= cap, "what may have been paid counts with its worst case"
    assert spent.reserved_usd == 0
    assert sum(row.lost_calls for row in capped.tools.ledger.of_run(done.id)) > 0


def test_vectors_that_nobody_can_use_were_paid_for_all_the_same(
    build: Build, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    workshop = build(hard_cap_run_usd=Decimal(1))
    suite = make_suite(tmp_path, mock_openai.base_url, cases=3, yaml=ALIKE)
    begun = answered(workshop, suite)
    mock_openai.configure(raw_body='{"data": []}')
    scored(workshop, suite, begun)
    _, embeddings = workshop.tools.ledger.of_run(begun.id)
    assert (embeddings.model, embeddings.calls, embeddings.lost_calls) == ("mock-embedding", 0, 3)
    assert 2 * WORST < embeddings.assumed_usd < 3 * WORST


def test_an_unknown_price_of_embeddings_is_refused_under_a_hard_cap_before_any_call(
    build: Build, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    known = {name: price for name, price in PRICES.items() if name != "mock-embedding"}
    workshop = build(prices=known, hard_cap_run_usd=Decimal(1))
    with pytest.raises(ConfigError, match=r"^EVALOPS_PRICES: .*the price of mock-embedding is unknown"):
        run(workshop, make_suite(tmp_path, mock_openai.base_url, cases=2, yaml=ALIKE))
    assert mock_openai.stats()["requests"] == 0
    assert workshop.tools.runs.recent("orders", 1) == []
    unused = make_suite(tmp_path, mock_openai.base_url, cases=2, yaml=ALIKE.replace("y}", "y, metric: chrf}"))
    assert run(workshop, unused).status == "completed"


def test_a_list_price_of_prompts_alone_is_a_known_price_of_embeddings(
    build: Build, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    openai = {"embedding_model": "text-embedding-3-small", "embedding_base_url": "https://api.openai.com/v1"}
    workshop = build(hard_cap_run_usd=Decimal(1), **openai)
    with pytest.raises(ConfigError, match=r"^EVALOPS_EMBEDDING_API_KEY: "):  # which is what is asked for next
        run(workshop, make_suite(tmp_path, mock_openai.base_url, cases=2, yaml=ALIKE))


@pytest.mark.usefixtures("embedded")
def test_the_embedded_embedding_model_is_in_no_ledger_on_no_row_and_needs_no_price(
    build: Build, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    workshop = build(embedding_model=None, hard_cap_run_usd=Decimal(1))
    suite = make_suite(tmp_path, mock_openai.base_url, cases=4, yaml=ALIKE)
    assert [part.what for part in planned(workshop, suite).parts] == ["answers"]
    done = run(workshop, suite)
    assert (done.status, done.n) == ("completed", 4)
    assert mock_openai.stats()["by_kind"]["embed"] == 4
    (answers,) = workshop.tools.ledger.of_run(done.id)
    assert (answers.purpose, done.cost_usd) == ("eval.generate", answers.settled_usd)
    for row in rows_of(workshop, done, "similarity"):
        assert (row.model, row.prompt_tokens, row.completion_tokens, row.cost_usd) == (None, None, None, None)


def test_the_plan_counts_embeddings_and_prices_the_texts(build: Build, mock_openai: MockOpenAI, tmp_path: Path) -> None:
    suite = make_suite(
        tmp_path, mock_openai.base_url, cases=20, repeats=2, yaml=ALIKE.replace("temperature: 0", "max_tokens: 120")
    )
    cost = planned(build(), suite)
    answers, embeddings = cost.parts
    assert (answers.calls, embeddings.calls, cost.calls) == (40, 40, 80)
    assert (embeddings.purpose, embeddings.model) == ("eval.judge", "mock-embedding")
    assert embeddings.prompt_tokens == 40 * (120 + len("It is paid.") // 4)
    assert embeddings.completion_tokens == 0
    assert embeddings.cost_usd == EACH * embeddings.prompt_tokens / 1_000_000
    assert f"40 embeddings of mock-embedding: about {embeddings.prompt_tokens} tokens, about $" in str(cost)
    assert planned(build(prices={}), suite).unpriced == ("mock-model", "mock-embedding")
    assert mock_openai.stats()["requests"] == 0


def test_a_case_without_a_text_to_be_like_is_planned_without_an_embedding(
    build: Build, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite, workshop = make_suite(tmp_path, mock_openai.base_url, cases=3, yaml=ALIKE), build()
    first, *others = suite.cases
    suite = replace(suite, cases=(replace(first, reference=None), *others))
    _, embeddings = planned(workshop, suite).parts
    assert embeddings.calls == 2
    run(workshop, suite)
    assert mock_openai.stats()["by_kind"]["embed"] == 2


def test_with_history_judgments_and_embeddings_are_each_planned_at_their_own_mean(
    build: Build, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    workshop, suite = build(), make_suite(tmp_path, mock_openai.base_url, cases=20, yaml=BOTH)
    done = run(workshop, suite)
    paid = {row.model: row.settled_usd for row in workshop.tools.ledger.of_run(done.id)}
    cost = planned(workshop, suite)
    assert [(part.what, part.calls) for part in cost.parts] == [("answers", 20), ("judgments", 20), ("embeddings", 40)]
    for part in cost.parts:
        assert float(part.cost_usd or 0) == pytest.approx(float(paid[part.model] or 0), rel=0.03), (
            "means are rounded up"
        )
    assert "the mean of 40 earlier calls" in str(cost)


def test_embeddings_that_are_done_are_not_planned_again(build: Build, mock_openai: MockOpenAI, tmp_path: Path) -> None:
    workshop, suite = build(), make_suite(tmp_path, mock_openai.base_url, cases=40, yaml=ALIKE)
    begun = answered(workshop, suite)
    done = scored(build(hard_cap_run_usd=bill(mock_openai) + Decimal("0.03")), suite, begun)
    cost = planned(workshop, suite)
    assert [part.calls for part in cost.parts] == [0, 40 - (done.n or 0)]
    assert cost.done == 40 + (done.n or 0)
