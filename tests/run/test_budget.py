"""Money: what is in the ledger, and caps that hold whatever is in flight, fails or is killed."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, event

from evalops_core.domain.budget import Caps, Charge, Over, Within
from evalops_core.domain.chat import Usage
from evalops_core.domain.eval_run import EvalRun, RunType
from evalops_core.domain.suite import Suite
from evalops_core.errors import ConfigError
from evalops_core.run.budget import Patience, Spending
from evalops_core.run.daily_budget import SpendingRules, check_daily_budget
from evalops_core.run.evaluate import answer, conclude, evaluate, score
from evalops_core.run.progress import Progress, silent
from evalops_core.run.stage import StopStageError
from evalops_core.settings import load_settings
from evalops_core.store.engine import make_engine
from evalops_core.store.history import trend
from evalops_core.store.runs import EvalRuns
from evalops_core.store.spend import Holder, Settlement, SpendLedger
from evalops_core.suites.loader import load_suite
from evalops_core.wiring import Workshop
from tests.builders import JUDGED, environment, judge_settings, make_suite, make_workshop, write_suite
from tests.mock_fixture import MockOpenAI
from tests.store.rows import started

PROJECT = Path(__file__).parents[2]
DAY = date(2025, 6, 1)
ONE = Decimal(1)
IN, OUT = Decimal(10), Decimal(30)  # US dollars per million tokens
PRICES = {name: {"input_per_mtok": str(IN), "output_per_mtok": str(OUT)} for name in ("mock-model", "mock-judge")}
LIMITED = JUDGED.replace("temperature: 0", "temperature: 0, max_tokens: 120")  # an answer of the mock has some 107
WORST_ANSWER = Decimal("0.0060")  # of one call of that suite, a little rounded up

Build = Callable[..., Workshop]


@pytest.fixture
def build(engine: Engine, mock_openai: MockOpenAI, tmp_path: Path) -> Build:
    """Workshops over the mock with its models priced, and whatever else is set."""

    def build(**more: Any) -> Workshop:
        given = {"prices": PRICES, "judge_parameters": {"max_tokens": 100}, **more}
        return make_workshop(engine, judge_settings(mock_openai.base_url, tmp_path / "home", **given))

    return build


def run(workshop: Workshop, suite: Suite, run_type: RunType = "manual") -> EvalRun:
    return asyncio.run(evaluate(workshop.plan(suite, run_type=run_type), workshop.tools, silent))


def bill(mock: MockOpenAI) -> Decimal:
    """What the endpoint charges for all that it answered, those included that nobody could read."""
    stats = mock.stats()
    return (IN * stats["prompt_tokens"] + OUT * stats["completion_tokens"]) / 1_000_000


def today() -> date:
    return datetime.now(timezone.utc).date()


def test_every_paid_call_is_in_the_ledger_with_what_the_endpoint_counted(
    build: Build, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    workshop = build()
    mock_openai.configure(rate_badjson=0.3)  # judgments that nobody can read are paid, and so is asking again
    done = run(workshop, make_suite(tmp_path, mock_openai.base_url, cases=30))
    stats = mock_openai.stats()
    answers, judgments = sorted(workshop.tools.ledger.of_run(done.id), key=lambda row: row.purpose)
    assert (answers.calls, judgments.calls) == (30, stats["by_kind"]["judge"])
    assert judgments.calls > 30
    assert (answers.prompt_tokens or 0) + (judgments.prompt_tokens or 0) == stats["prompt_tokens"]
    assert (answers.settled_usd or 0) + (judgments.settled_usd or 0) == bill(mock_openai)
    assert workshop.tools.ledger.spent(today(), feature="orders").usd == bill(mock_openai) == done.cost_usd


def test_a_price_that_nobody_knows_is_said_and_not_zero(build: Build, mock_openai: MockOpenAI, tmp_path: Path) -> None:
    workshop = build(prices={})
    done = run(workshop, make_suite(tmp_path, mock_openai.base_url, cases=2))
    for row in workshop.tools.ledger.of_run(done.id):
        assert (row.calls, row.unpriced_calls, row.settled_usd, row.assumed_usd) == (2, 2, None, 0)


def test_a_price_given_for_the_name_asked_for_holds_for_what_it_resolves_to(
    build: Build, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    mock_openai.configure(resolved_model="mock-2026-11-01")
    assert run(build(), make_suite(tmp_path, mock_openai.base_url, cases=2)).cost_usd == bill(mock_openai)


def test_a_call_that_was_cancelled_may_be_billed_and_is_counted_as_lost(
    build: Build, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    workshop = build()
    plan = workshop.plan(make_suite(tmp_path, mock_openai.base_url, cases=12), run_type="manual")
    mock_openai.configure(latency_ms=30, rate_hang=0.2)

    async def scenario() -> None:
        def report(progress: Progress) -> None:
            if progress.done >= 5:
                task.cancel()

        task = asyncio.ensure_future(evaluate(plan, workshop.tools, report))
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    (cut,) = workshop.tools.runs.recent("orders", 5)
    (row,) = workshop.tools.ledger.of_run(cut.id)
    stored = workshop.tools.results.responses(cut.id)
    assert row.calls >= len(stored) >= 5
    assert row.calls + row.lost_calls == mock_openai.stats()["requests"]
    assert row.lost_calls > 0


def test_without_a_hard_cap_no_call_waits_for_the_database(
    build: Build, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    workshop, said = build(max_concurrency=20), list[str]()
    suite = make_suite(tmp_path, mock_openai.base_url, cases=100)
    event.listen(workshop.engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    run(workshop, suite)
    saved = sum("INSERT INTO evalops.responses" in one or "INSERT INTO evalops.scores" in one for one in said)
    assert 2 <= saved < 100
    assert sum("INSERT INTO evalops.spend" in one for one in said) <= saved
    assert not [one for one in said if "advisory" in one or "INSERT INTO evalops.spend_holds" in one]


def test_a_run_cap_stops_the_run_as_partial_which_is_no_point_of_the_trend(
    build: Build, mock_openai: MockOpenAI, engine: Engine, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=60, yaml=LIMITED)
    cap = Decimal("0.10")
    done = run(build(hard_cap_run_usd=cap), suite, "scheduled")
    assert done.status == "partial"
    assert (done.status_reason or "").startswith("the hard cap of $0.10 for one eval run is reached: $0.")
    assert cap - WORST_ANSWER < bill(mock_openai) <= cap
    assert done.cost_usd == bill(mock_openai), "every answer that was paid is stored"
    assert trend(engine) == []
    whole = run(build(), suite, "scheduled")
    assert (whole.id, whole.status, whole.n, whole.status_reason) == (done.id, "completed", 60, None)
    assert mock_openai.stats()["paid_again"] == {}


def test_a_suites_own_cap_holds_where_it_is_lower(build: Build, mock_openai: MockOpenAI, tmp_path: Path) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=40, yaml=LIMITED + "hard_cap_usd: 0.05\n")
    done = run(build(hard_cap_run_usd=Decimal(100)), suite)
    assert done.status == "partial"
    assert bill(mock_openai) <= Decimal("0.05")


def test_a_manual_run_that_a_cap_stopped_goes_on_with_what_is_missing(
    build: Build, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=40, yaml=LIMITED)
    first = run(build(hard_cap_run_usd=Decimal("0.05")), suite)
    still = run(build(hard_cap_run_usd=Decimal("0.09")), suite)
    assert (first.id, first.status, still.status) == (still.id, "partial", "partial")
    assert run(build(), suite).id == first.id
    assert mock_openai.stats()["paid_again"] == {}


def test_a_cap_that_is_reached_between_the_stages_keeps_the_answers(
    build: Build, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=10, yaml=LIMITED)
    free = build()
    plan = free.plan(suite, run_type="scheduled")
    begun = asyncio.run(answer(plan, free.tools, silent))
    broke = build(hard_cap_run_usd=bill(mock_openai))
    asyncio.run(score(plan, broke.tools, silent))
    done, _ = conclude(plan, broke.tools)
    assert (done.id, done.status, done.n, done.score) == (begun.run.id, "partial", 0, None)
    assert mock_openai.stats()["by_kind"] == {"generate": 10}


def test_a_cap_below_the_first_call_makes_no_call_at_all(build: Build, mock_openai: MockOpenAI, tmp_path: Path) -> None:
    done = run(
        build(hard_cap_day_usd=Decimal("0.000001")), make_suite(tmp_path, mock_openai.base_url, cases=5), "scheduled"
    )
    assert (done.status, done.n) == ("partial", 0)
    assert "for one day is reached: $0.00 is spent" in (done.status_reason or "")
    assert mock_openai.stats()["requests"] == 0


@pytest.mark.parametrize("unpriced", ["mock-model", "mock-judge"])
def test_an_unknown_price_is_refused_under_a_hard_cap_before_any_call(
    build: Build, mock_openai: MockOpenAI, tmp_path: Path, unpriced: str
) -> None:
    known = {name: price for name, price in PRICES.items() if name != unpriced}
    workshop = build(prices=known, hard_cap_run_usd=ONE)
    with pytest.raises(ConfigError, match=f"EVALOPS_PRICES: .*the price of {unpriced} is unknown"):
        run(workshop, make_suite(tmp_path, mock_openai.base_url, cases=2))
    assert mock_openai.stats()["requests"] == 0
    assert workshop.tools.runs.recent("orders", 1) == []


def test_attempts_that_fail_after_they_were_paid_stay_under_the_cap(
    build: Build, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    mock_openai.configure(rate_cutoff=0.2, rate_truncated=0.2, rate_429=0.1, retry_after="0")
    cap = Decimal("0.20")
    workshop = build(hard_cap_run_usd=cap, max_concurrency=50)
    done = run(workshop, make_suite(tmp_path, mock_openai.base_url, cases=200, yaml=LIMITED))
    assert done.status == "partial"
    assert bill(mock_openai) <= cap
    spent, _ = workshop.tools.ledger.totals(done.id, today())
    assert bill(mock_openai) <= spent.spent_usd <= cap, "what may have been paid counts with its worst case"
    assert spent.reserved_usd == 0
    assert sum(row.lost_calls for row in workshop.tools.ledger.of_run(done.id)) > 0


def test_refusals_cost_nothing(build: Build, mock_openai: MockOpenAI, tmp_path: Path) -> None:
    mock_openai.configure(rate_429=0.3, rate_500=0.1, retry_after="0")
    workshop = build(hard_cap_run_usd=Decimal("0.50"), max_concurrency=20)
    done = run(workshop, make_suite(tmp_path, mock_openai.base_url, cases=40, yaml=LIMITED))
    assert done.status == "completed"
    spent, _ = workshop.tools.ledger.totals(done.id, today())
    assert spent.spent_usd == bill(mock_openai)
    assert spent.reserved_usd == 0


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("EVALOPS_PRICES", '{"m": {"input_per_mtok": "-1", "output_per_mtok": 1}}', "m.input_per_mtok: .*greater than"),
        ("EVALOPS_PRICES", '{"m": {"input": 1}}', "m.input_per_mtok: Field required"),
        ("EVALOPS_PRICES", '{"m": {"input_per_mtok": "NaN", "output_per_mtok": 1}}', "finite"),
        ("EVALOPS_PRICES", "cheap", "expected JSON"),
        ("EVALOPS_HARD_CAP_RUN_USD", "-1", "greater than or equal to 0"),
        ("EVALOPS_BUDGET_FAIL", "ajar", "'open' or 'closed'"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_by_their_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=f"^{variable}: .*{said}.*; correct or unset the variable"):
        load_settings()


# The queue before the ledger, by itself


@pytest.fixture
def ledger(engine: Engine) -> SpendLedger:
    return SpendLedger(engine)


def spending(engine: Engine, cap: str, *, others_s: float = 60, run: EvalRun | None = None) -> Spending:
    run = run or started(EvalRuns(engine), run_type="manual")
    now = datetime(2025, 6, 1, 12, tzinfo=timezone.utc)
    return Spending(run, SpendLedger(engine), Caps(day_usd=Decimal(cap)), lambda: now, Patience(others_s))


def paid(cost: str) -> Charge:
    return Charge("eval.generate", "m", DAY, Usage(1, 1), Decimal(cost), released_usd=ONE)


def test_calls_wait_for_those_in_flight_and_all_are_made_that_fit_in_the_end(
    engine: Engine, ledger: SpendLedger
) -> None:
    async def scenario() -> None:
        async with spending(engine, "1.5") as money:

            async def call() -> None:
                await money.reserve(ONE, DAY)
                await asyncio.sleep(0)
                money.charge(paid("0.02"))

            await asyncio.wait_for(asyncio.gather(*(call() for _ in range(20))), 60)

    asyncio.run(scenario())
    assert ledger.spent(DAY).usd == Decimal("0.40")


def test_once_the_cap_is_reached_every_call_is_refused_and_those_in_flight_are_settled(
    engine: Engine, ledger: SpendLedger
) -> None:
    async def scenario() -> Sequence[object]:
        async with spending(engine, "2.5") as money:

            async def call() -> None:
                await money.reserve(ONE, DAY)
                await asyncio.sleep(0)
                money.charge(paid("0.9"))

            calls = await asyncio.wait_for(asyncio.gather(*(call() for _ in range(9)), return_exceptions=True), 60)
            with pytest.raises(StopStageError):
                await money.reserve(Decimal("0.1"), DAY)
            return calls

    results = asyncio.run(scenario())
    assert sum(result is None for result in results) == 2
    assert all(result is None or isinstance(result, StopStageError) for result in results)
    assert ledger.spent(DAY).usd == Decimal("1.8")


def other_replica(engine: Engine, ledger: SpendLedger) -> Holder:
    """One that has reserved $0.80 of the day for calls in flight."""
    holder = Holder(started(EvalRuns(engine), "other").id, "other", "b", timedelta(minutes=1))
    ledger.reserve(holder, Caps(day_usd=ONE), DAY, [Decimal("0.8")])
    return holder


def test_a_call_waits_for_what_another_replica_has_in_flight(engine: Engine, ledger: SpendLedger) -> None:
    other, asked = other_replica(engine, ledger), 0

    def count(*given: Any) -> None:
        nonlocal asked
        asked += "AS day_reserved" in given[2]

    async def scenario() -> None:
        nonlocal asked
        async with spending(engine, "1") as money:
            call = asyncio.ensure_future(money.reserve(ONE - Decimal("0.1"), DAY))
            event.listen(engine, "after_cursor_execute", count)
            while asked < 2:  # it was told to wait, and has asked again  # noqa: ASYNC110  # a thread asks
                await asyncio.sleep(0.01)
            assert not call.done()
            await asyncio.to_thread(ledger.close, other, Settlement())
            await asyncio.wait_for(call, 60)
            money.release(ONE - Decimal("0.1"), DAY)

    asyncio.run(scenario())


def test_a_call_does_not_wait_for_other_replicas_for_ever(engine: Engine, ledger: SpendLedger) -> None:
    other_replica(engine, ledger)

    async def scenario() -> None:
        async with spending(engine, "1", others_s=0) as money:
            with pytest.raises(StopStageError, match=r"and \$0.80 is reserved for other calls"):
                await asyncio.wait_for(money.reserve(ONE, DAY), 60)

    asyncio.run(scenario())


def test_a_call_that_is_cancelled_while_it_waits_leaves_nothing_reserved(engine: Engine, ledger: SpendLedger) -> None:
    run = started(EvalRuns(engine))

    async def scenario() -> None:
        async with spending(engine, "1", run=run) as money:
            await money.reserve(ONE, DAY)
            waiting = asyncio.ensure_future(money.reserve(ONE, DAY))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            money.release(ONE, DAY)
            await asyncio.wait_for(money.reserve(ONE, DAY), 60)
            money.release(ONE, DAY)

    asyncio.run(scenario())
    assert ledger.totals(run.id, DAY)[0].reserved_usd == 0


def test_a_ledger_that_fails_fails_the_calls_that_ask_it(engine: Engine) -> None:
    run = started(EvalRuns(engine))
    gone = make_engine(SecretStr("postgresql://nobody@127.0.0.1:1/none"))

    async def scenario() -> None:
        money = Spending(run, SpendLedger(gone), Caps(run_usd=ONE), lambda: datetime.now(timezone.utc), Patience())
        with pytest.raises(Exception, match="cannot connect"):
            await asyncio.wait_for(money.reserve(ONE, DAY), 60)

    asyncio.run(scenario())


# The soft budget


def judged(ledger: SpendLedger, engine: Engine, feature: str, cost: str) -> None:
    holder = Holder(started(EvalRuns(engine), feature).id, feature, "a", timedelta(minutes=1))
    ledger.settle(holder, Settlement([Charge("eval.judge", "m", DAY, Usage(1, 1), Decimal(cost))]))
    ledger.settle(holder, Settlement([Charge("eval.generate", "m", DAY, Usage(1, 1), Decimal(50))]))


def budgeted(cap: str | None, feature: str = "orders") -> Suite:
    return Suite(feature, (), (), Path(), daily_budget_usd=None if cap is None else Decimal(cap))


NOON = datetime(2025, 6, 1, 12, tzinfo=timezone.utc)


def test_the_daily_budget_counts_the_features_judge_and_the_deployments(engine: Engine, ledger: SpendLedger) -> None:
    judged(ledger, engine, "orders", "1.20")
    judged(ledger, engine, "returns", "3")
    none = SpendingRules()
    assert check_daily_budget(budgeted("1"), ledger, none, NOON) == Over("spent $1.20 of $1.00 on judging today")
    assert check_daily_budget(budgeted("2"), ledger, none, NOON) == Within("spent $1.20 of $2.00 on judging today")
    assert isinstance(check_daily_budget(budgeted("1"), ledger, none, NOON + timedelta(days=1)), Within)
    assert isinstance(check_daily_budget(budgeted(None), ledger, none, NOON), Within)
    whole = SpendingRules(daily_budget_usd=Decimal(4))
    assert check_daily_budget(budgeted("2"), ledger, whole, NOON) == Over(
        "spent $4.20 of $4.00 on judging all features today"
    )
    roomy = SpendingRules(daily_budget_usd=Decimal(5))
    assert check_daily_budget(budgeted("2"), ledger, roomy, NOON) == Within(
        "spent $1.20 of $2.00 on judging today; spent $4.20 of $5.00 on judging all features today"
    )


def test_a_ledger_that_cannot_be_read_is_logged_and_decides_as_configured(caplog: pytest.LogCaptureFixture) -> None:
    gone = SpendLedger(make_engine(SecretStr("postgresql://nobody@127.0.0.1:1/none")))
    with caplog.at_level(logging.WARNING):
        assert isinstance(check_daily_budget(budgeted("1"), gone, SpendingRules(), NOON), Within)
    assert "the ledger could not be read, which lets the run go on (cannot connect" in caplog.text
    closed = SpendingRules(on_unknown="closed")
    assert isinstance(check_daily_budget(budgeted("1"), gone, closed, NOON), Over)


# Replicas


Replica = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def replica(database_url: SecretStr, mock_openai: MockOpenAI, tmp_path: Path) -> Iterator[Replica]:
    """Starts processes of `tests.run.spender`, ready to go once their standard input closes."""
    processes: list[subprocess.Popen[str]] = []

    def start(suites: Path, **settings: str) -> "subprocess.Popen[str]":
        variables = {
            **environment(database_url, tmp_path / "home", suites, mock_openai.base_url),
            "EVALOPS_PRICES": json.dumps(PRICES),
            "EVALOPS_JUDGE_PARAMETERS": '{"max_tokens": 100}',
            "EVALOPS_MAX_CONCURRENCY": "50",
            **settings,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.run.spender", str(suites)],
            cwd=PROJECT,
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


def go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin
    process.stdin.close()


def result(process: "subprocess.Popen[str]") -> Any:
    assert process.stdout
    line = process.stdout.readline()
    assert line, process.wait(60)
    return json.loads(line)


@pytest.mark.process
def test_two_replicas_with_fifty_calls_in_flight_each_never_spend_more_than_the_days_cap(
    replica: Replica, build: Build, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    cap = Decimal("1.00")
    mock_openai.configure(latency_ms=20, latency_sigma=0.3, rate_truncated=0.02)
    both = [
        replica(
            write_suite(tmp_path / name, mock_openai.base_url, feature=name, cases=300, yaml=LIMITED).parent,
            EVALOPS_HARD_CAP_DAY_USD=str(cap),
        )
        for name in ("orders", "returns")
    ]
    for process in both:
        go(process)
    ended = [result(process) for process in both]
    assert [end["status"] for end in ended] == ["partial", "partial"]
    assert all("the hard cap of $1.00 for one day is reached" in end["reason"] for end in ended)
    assert mock_openai.stats()["max_in_flight"] > 50
    ledger = build().tools.ledger
    of_day = ledger.totals(ended[0]["id"], today())[1]
    assert bill(mock_openai) <= of_day.spent_usd <= cap
    assert cap - WORST_ANSWER < of_day.spent_usd, "nearly all of it was used"
    assert of_day.reserved_usd == 0


@pytest.mark.process
def test_what_a_killed_run_had_reserved_does_not_stand_in_the_way_of_its_resumption(
    replica: Replica, build: Build, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    mock_openai.configure(latency_ms=50)
    folder = write_suite(tmp_path / "suites", mock_openai.base_url, cases=120, yaml=LIMITED)
    victim = replica(folder.parent, EVALOPS_HARD_CAP_RUN_USD="2.00")
    go(victim)
    while mock_openai.stats()["by_kind"].get("generate", 0) < 80:
        assert victim.poll() is None
    victim.kill()
    victim.wait()
    workshop = build(hard_cap_run_usd=Decimal("2.00"), max_concurrency=50)
    (killed,) = workshop.tools.runs.recent("orders", 5)
    stored = workshop.tools.results.responses(killed.id)
    before, _ = workshop.tools.ledger.totals(killed.id, today())
    assert before.reserved_usd > 0
    assert before.spent_usd >= sum((row.cost_usd or Decimal(0)) for row in stored), "no answer without its cost"
    done = run(workshop, load_suite(folder))
    assert (done.id, done.status, done.n) == (killed.id, "completed", 120)
    after, _ = workshop.tools.ledger.totals(killed.id, today())
    assert after.reserved_usd == 0
    assert after.spent_usd <= bill(mock_openai), "a kill doubles nothing"
