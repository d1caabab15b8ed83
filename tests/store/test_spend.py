"""The ledger and the reservations, on a real database, with several connections and processes at once."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from multiprocessing.synchronize import Barrier

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from evalops_core.domain.budget import Admitted, Caps, Charge, Refused, Spent, Wait
from evalops_core.domain.chat import Usage
from evalops_core.domain.eval_run import Response
from evalops_core.store.engine import make_engine
from evalops_core.store.results import CaseResults
from evalops_core.store.runs import EvalRuns
from evalops_core.store.spend import DaySpend, Holder, Settlement, SpendLedger, Tokens
from tests.store.rows import started

DAY = date(2025, 6, 1)
NEXT = date(2025, 6, 2)
DAYS = [DAY + timedelta(days=number) for number in range(40)]
ONE = Decimal(1)


@pytest.fixture
def ledger(engine: Engine) -> SpendLedger:
    return SpendLedger(engine)


def holder(engine: Engine, name: str = "a", *, run_id: int | None = None, ttl: float = 600) -> Holder:
    run_id = started(EvalRuns(engine), run_type="manual").id if run_id is None else run_id
    return Holder(run_id, "explain", name, timedelta(seconds=ttl))


def paid(cost: str | None = "0.25", *, day: date = DAY, released: str = "0", model: str = "m") -> Charge:
    known = None if cost is None else Decimal(cost)
    return Charge("eval.judge", model, day, Usage(100, 10), known, Decimal("0.7"), Decimal(released))


def test_charges_are_summed_by_purpose_model_and_day(ledger: SpendLedger, engine: Engine) -> None:
    one = holder(engine)
    ledger.settle(one, Settlement([paid(), paid("0.000000000123"), paid(day=NEXT)]))
    ledger.settle(one, Settlement([paid(), paid(None), paid(model="n\x00")]))
    rows = ledger.of_run(one.run_id)
    assert [(row.model, row.day, row.calls) for row in rows] == [("m", DAY, 4), ("m", NEXT, 1), ("n\ufffd", DAY, 1)]
    assert rows[0].settled_usd == Decimal("0.500000000123")
    assert (rows[0].prompt_tokens, rows[0].unpriced_calls, rows[0].assumed_usd) == (400, 1, Decimal("0.7"))


def test_spending_is_read_by_day_feature_and_purpose(ledger: SpendLedger, engine: Engine) -> None:
    ledger.settle(holder(engine), Settlement([paid(), paid(None)]))
    other = Holder(started(EvalRuns(engine), "extract").id, "extract", "b", timedelta(minutes=1))
    ledger.settle(other, Settlement([paid("2")]))
    assert ledger.spent(DAY) == DaySpend(Decimal("2.25"), 1)
    assert ledger.spent(DAY, feature="explain", purpose="eval.judge") == DaySpend(Decimal("0.25"), 1)
    assert ledger.spent(DAY, purpose="eval.generate") == DaySpend(Decimal(0), 0)
    assert ledger.spent(NEXT) == DaySpend(Decimal(0), 0)


def test_what_was_spent_stays_when_its_run_is_deleted(ledger: SpendLedger, engine: Engine) -> None:
    one = holder(engine)
    ledger.settle(one, Settlement([paid()]))
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM evalops.eval_runs"))
    assert ledger.spent(DAY).usd == Decimal("0.25")


def test_rows_and_charges_are_durable_together_or_not_at_all(ledger: SpendLedger, engine: Engine) -> None:
    one, results = holder(engine), CaseResults(engine)

    def also_breaks(connection: object) -> None:
        raise OSError("killed here")

    with pytest.raises(OSError, match="killed here"):
        results.save_responses(one.run_id, [Response("a", 0, text="x")], also_breaks)
    assert results.responses(one.run_id) == []
    results.save_responses(
        one.run_id, [Response("a", 0, text="x")], lambda c: ledger.settle(one, Settlement([paid()]), c)
    )
    assert len(results.responses(one.run_id)) == 1
    assert ledger.spent(DAY).usd == Decimal("0.25")


def test_calls_are_admitted_until_their_worst_case_does_not_fit(ledger: SpendLedger, engine: Engine) -> None:
    one, caps = holder(engine), Caps(run_usd=Decimal("2.5"))
    answers = ledger.reserve(one, caps, DAY, [ONE, ONE, ONE, Decimal("0.5"), Decimal(3)])
    assert [type(answer) for answer in answers] == [Admitted, Admitted, Wait, Admitted, Refused]
    assert ledger.totals(one.run_id, DAY) == (Spent(Decimal(0), Decimal("2.5")),) * 2


def test_settling_makes_room_in_the_same_transaction(ledger: SpendLedger, engine: Engine) -> None:
    one, caps = holder(engine), Caps(run_usd=ONE)
    ledger.reserve(one, caps, DAY, [ONE])
    settled = Settlement([paid("0.25", released="1")])
    assert isinstance(ledger.reserve(one, caps, DAY, [Decimal("0.75")], settled)[0], Admitted)
    assert ledger.totals(one.run_id, DAY)[0] == Spent(Decimal("0.25"), Decimal("0.75"))
    ledger.settle(one, Settlement(released={DAY: Decimal("0.75")}))
    assert ledger.totals(one.run_id, DAY)[0] == Spent(Decimal("0.25"), Decimal(0))


def test_a_call_of_unknown_cost_counts_with_its_worst_case(ledger: SpendLedger, engine: Engine) -> None:
    one = holder(engine)
    ledger.settle(one, Settlement([paid(None)]))
    assert ledger.totals(one.run_id, DAY)[0].spent_usd == Decimal("0.7")
    assert isinstance(ledger.reserve(one, Caps(run_usd=ONE), DAY, [Decimal("0.4")])[0], Refused)


def test_a_days_cap_is_shared_and_ends_with_the_day(ledger: SpendLedger, engine: Engine) -> None:
    one, two, caps = holder(engine), holder(engine, "b"), Caps(day_usd=ONE)
    assert isinstance(ledger.reserve(one, caps, DAY, [ONE])[0], Admitted)
    assert isinstance(ledger.reserve(two, caps, DAY, [ONE])[0], Wait)
    assert isinstance(ledger.reserve(two, caps, NEXT, [ONE])[0], Admitted)


def test_a_resumed_run_releases_what_its_killed_process_held_and_nobody_elses(
    ledger: SpendLedger, engine: Engine
) -> None:
    killed, other, caps = holder(engine, "killed"), holder(engine, "other"), Caps(run_usd=ONE)
    ledger.reserve(killed, caps, DAY, [ONE])
    ledger.reserve(other, caps, DAY, [ONE])
    again = holder(engine, "again", run_id=killed.run_id)
    ledger.release_stale(again)
    assert ledger.totals(killed.run_id, DAY)[0].reserved_usd == 0
    assert ledger.totals(other.run_id, DAY)[0].reserved_usd == 1


def test_a_reservation_ends_some_time_after_its_holders_last_sign_of_life(ledger: SpendLedger, engine: Engine) -> None:
    dead, two, caps = holder(engine, "dead", ttl=-1), holder(engine, "b"), Caps(day_usd=ONE)
    ledger.reserve(dead, caps, DAY, [ONE])
    assert isinstance(ledger.reserve(two, caps, DAY, [ONE])[0], Admitted)


def test_closing_settles_the_rest_and_gives_everything_back(ledger: SpendLedger, engine: Engine) -> None:
    one = holder(engine)
    ledger.reserve(one, Caps(run_usd=Decimal(5)), DAY, [ONE, ONE])
    ledger.close(one, Settlement([paid("0.1", released="1")]))
    assert ledger.totals(one.run_id, DAY)[0] == Spent(Decimal("0.1"), Decimal(0))


def test_mean_tokens_are_of_the_latest_runs_that_counted_any(ledger: SpendLedger, engine: Engine) -> None:
    assert ledger.tokens("explain", "eval.judge") is None
    for prompt in (1000, 20, 40):
        used = Charge("eval.judge", "m", DAY, Usage(prompt, 10), None)
        ledger.settle(holder(engine), Settlement([used, used]))
    ledger.settle(holder(engine), Settlement([Charge("eval.judge", "m", DAY, Usage(), None)]))
    assert ledger.tokens("explain", "eval.judge", runs=2) == Tokens(4, 30.0, 10.0)
    assert ledger.tokens("explain", "eval.generate") is None


def test_mean_tokens_of_judgments_and_of_embeddings_are_apart(ledger: SpendLedger, engine: Engine) -> None:
    judgment = Charge("eval.judge", "m", DAY, Usage(1000, 10), None)
    embedding = Charge("eval.judge", "e", DAY, Usage(50, 0), None)
    ledger.settle(holder(engine), Settlement([judgment]))
    assert ledger.tokens("explain", "eval.judge", embeddings=True) is None
    ledger.settle(holder(engine), Settlement([embedding, embedding]))
    assert ledger.tokens("explain", "eval.judge", runs=1) == Tokens(1, 1000.0, 10.0)
    assert ledger.tokens("explain", "eval.judge", runs=1, embeddings=True) == Tokens(2, 50.0, 0.0)


def test_threads_that_reserve_and_settle_at_once_keep_every_cap(ledger: SpendLedger, engine: Engine) -> None:
    runs = [holder(engine, str(number)) for number in range(3)]
    caps = Caps(run_usd=Decimal(6), day_usd=Decimal(10))

    def work(number: int) -> int:
        mine, admitted = runs[number % 3], 0
        for _ in range(15):
            if isinstance(ledger.reserve(mine, caps, DAY, [ONE])[0], Admitted):
                admitted += 1
                of_run, of_day = ledger.totals(mine.run_id, DAY)
                assert of_run.spent_usd + of_run.reserved_usd <= 6
                assert of_day.spent_usd + of_day.reserved_usd <= 10
                ledger.settle(mine, Settlement([paid("0.5", released="1")]))
        return admitted

    with ThreadPoolExecutor(8) as pool:
        admitted = sum(pool.map(work, range(8)))
    assert ledger.spent(DAY).usd == Decimal("0.5") * admitted
    assert ledger.spent(DAY).usd > Decimal("9")
    assert sum(row.calls for one in runs for row in ledger.of_run(one.run_id)) == admitted


@pytest.mark.process
def test_processes_that_reserve_the_last_dollar_at_once_share_it_out_once(
    ledger: SpendLedger, engine: Engine, database_url: SecretStr
) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    holders = [holder(engine, str(number)) for number in range(3)]
    processes = [
        context.Process(target=_reserve_all, args=(database_url.get_secret_value(), one, barrier)) for one in holders
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    for day in DAYS:
        assert ledger.totals(holders[0].run_id, day)[1] == Spent(Decimal(0), ONE)


def _reserve_all(url: str, one: Holder, barrier: Barrier) -> None:
    engine = make_engine(SecretStr(url))
    for day in DAYS:
        barrier.wait(60)
        SpendLedger(engine).reserve(one, Caps(day_usd=ONE), day, [ONE])
    engine.dispose()
