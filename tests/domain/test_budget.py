import json
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalops_core.domain.budget import (
    Admitted,
    Caps,
    Charge,
    Entry,
    Over,
    Purpose,
    Refused,
    Spent,
    Wait,
    Within,
    admit,
    bound,
    embedding_bound,
    entries,
    soft_budget,
    tightest,
    usd,
)
from evalops_core.domain.chat import ChatRequest, Message, Usage

DAY = date(2025, 6, 1)
money = st.decimals(min_value=0, max_value=5, places=4)
counts = st.none() | st.integers(0, 10**6)
purposes = st.sampled_from(["eval.generate", "eval.judge"])


def D(amount: str) -> Decimal:  # noqa: N802  # as short as the numbers it stands before
    return Decimal(amount)


@pytest.mark.parametrize(
    ("spent", "cap", "state"),
    [
        ("0.99", "1", Within("spent $0.99 of $1.00")),
        ("1", "1", Over("spent $1.00 of $1.00")),
        ("1.20", "1", Over("spent $1.20 of $1.00")),
        ("0.0004", "1", Within("spent $0.00040 of $1.00")),
        ("0", "0", Within("no daily budget is set")),
        ("7", None, Within("no daily budget is set")),
    ],
)
def test_the_daily_budget_lets_the_judge_spend_below_the_cap_only(
    spent: str, cap: str | None, state: Within | Over
) -> None:
    assert soft_budget(D(spent), None if cap is None else D(cap)) == state


def test_unknown_spending_lets_the_run_go_on_unless_told_otherwise() -> None:
    assert isinstance(soft_budget(None, D("1")), Within)
    assert isinstance(soft_budget(None, D("1"), on_unknown="closed"), Over)
    assert isinstance(soft_budget(None, D("0"), on_unknown="closed"), Within), "without a cap nothing needs to be known"
    assert "the ledger could not be read" in soft_budget(None, D("1")).words


def test_calls_of_unknown_cost_are_named_and_not_counted() -> None:
    state = soft_budget(D("0.5"), D("1"), unpriced_calls=3)
    assert state == Within("spent $0.50 of $1.00, and 3 calls of unknown cost")


@given(money, money, money)
def test_more_spending_never_brings_a_budget_back(spent: Decimal, more: Decimal, cap: Decimal) -> None:
    if isinstance(soft_budget(spent, cap), Over):
        assert isinstance(soft_budget(spent + more, cap), Over)


@given(st.lists(st.tuples(money, st.integers(0, 100), st.booleans()), max_size=40), money, money)
def test_admitted_calls_never_spend_more_than_any_cap(
    calls: Sequence[tuple[Decimal, int, bool]], run_cap: Decimal, day_cap: Decimal
) -> None:
    """Each call may cost a share of its worst case; some end before the next one asks, the others at the very end."""
    caps = Caps(run_usd=run_cap, day_usd=day_cap)
    run, open_calls = Spent(), list[tuple[Decimal, Decimal]]()

    def settle(worst: Decimal, cost: Decimal) -> None:
        nonlocal run
        run = Spent(run.spent_usd + cost, run.reserved_usd - worst)

    for worst, share, ends_at_once in calls:
        answer = admit(worst, caps, run, run)
        if isinstance(answer, Admitted):
            run = run.with_reserved(worst)
            cost = worst * share / 100
            if ends_at_once:
                settle(worst, cost)
            else:
                open_calls.append((worst, cost))
        assert run.spent_usd + run.reserved_usd <= min(run_cap, day_cap)
    for worst, cost in open_calls:
        settle(worst, cost)
    assert run.reserved_usd == 0
    assert run.spent_usd <= min(run_cap, day_cap)


@given(money, money, money, money)
def test_a_call_waits_only_where_calls_in_flight_could_still_make_room(
    worst: Decimal, spent: Decimal, reserved: Decimal, cap: Decimal
) -> None:
    answer = admit(worst, Caps(day_usd=cap), Spent(), Spent(spent, reserved))
    once_settled = admit(worst, Caps(day_usd=cap), Spent(), Spent(spent, D("0")))
    if isinstance(answer, Wait):
        assert isinstance(once_settled, Admitted)
        assert reserved > 0
    else:
        assert type(answer) is type(once_settled)


def test_a_refusal_says_which_cap_and_how_much_is_spent() -> None:
    refused = admit(D("0.3"), Caps(run_usd=D("5"), day_usd=D("1")), Spent(D("0.8")), Spent(D("0.8")))
    assert refused == Refused(
        "the hard cap of $1.00 for one day is reached: $0.80 is spent, and the next call may cost up to $0.30"
    )
    waiting = admit(D("0.3"), Caps(run_usd=D("1")), Spent(D("0.5"), D("0.4")), Spent())
    assert isinstance(waiting, Wait)
    assert waiting.reason.endswith("and $0.40 is reserved for other calls")


def test_no_cap_admits_everything_and_zero_is_no_cap() -> None:
    assert admit(D("1000"), Caps(), Spent(D("9")), Spent(D("9"))) == Admitted()
    assert not Caps(tightest(None, D("0")), tightest())
    assert tightest(D("0"), D("3"), None, D("2")) == 2


@given(st.text(max_size=200), st.integers(1, 5000), st.integers(1, 4))
def test_a_call_is_bounded_by_its_bytes_and_its_max_tokens(text: str, max_tokens: int, n: int) -> None:
    request = ChatRequest([Message("user", text)], {"max_tokens": max_tokens, "n": n}, {"type": "object"})
    usage = bound(request, {"max_tokens": 7}, 16_384)
    assert (usage.prompt_tokens or 0) > len(text.encode()) + len(json.dumps({"type": "object"}))
    assert usage.completion_tokens == max_tokens * n


@given(st.lists(st.text()))
def test_an_embedding_call_is_bounded_by_the_bytes_of_its_texts_and_has_no_answer(texts: list[str]) -> None:
    usage = embedding_bound(texts)
    marked = [f"s{text}e" for text in texts]  # tokenisers begin and end each text with a token of their own
    assert (usage.prompt_tokens or 0) >= len("".join(marked).encode())
    assert usage.prompt_tokens == sum(embedding_bound([text]).prompt_tokens or 0 for text in texts)
    assert usage.completion_tokens == 0


def test_an_answer_without_a_limit_is_bounded_by_the_ceiling() -> None:
    request = ChatRequest([Message("user", "x\ud800")], {"max_tokens": None})
    assert bound(request, {"max_tokens": 7}, 1000).completion_tokens == 1000, "null takes the model's own limit back"
    assert bound(ChatRequest([]), {"max_completion_tokens": 9}, 1000).completion_tokens == 9
    assert bound(ChatRequest([]), {"max_tokens": True}, 1000).completion_tokens == 1000


def charge(purpose: Purpose, model: str, prompt: int | None, cost: Decimal | None, answered: bool) -> Charge:
    return Charge(purpose, model, DAY, Usage(prompt, 1), cost, D("0.5"), D("1"), answered)


@given(st.lists(st.builds(charge, purposes, st.sampled_from("ab"), counts, st.none() | money, st.booleans())))
def test_the_ledger_adds_up_to_its_charges(charges: list[Charge]) -> None:
    found = entries(charges)
    assert len({(entry.purpose, entry.model, entry.day) for entry in found}) == len(found)
    assert sum(entry.calls + entry.lost_calls for entry in found) == len(charges)
    assert sum(entry.settled_usd or 0 for entry in found) == sum(c.cost_usd or 0 for c in charges)
    assert sum(entry.prompt_tokens or 0 for entry in found) == sum(c.usage.prompt_tokens or 0 for c in charges)
    unknown = [c for c in charges if c.cost_usd is None]
    assert sum(entry.assumed_usd for entry in found) == D("0.5") * len(unknown)
    assert sum(entry.unpriced_calls for entry in found) == sum(c.answered for c in unknown)


def test_a_cost_that_nobody_knows_is_not_zero() -> None:
    (entry,) = entries([charge("eval.judge", "a", 5, None, answered=True)])
    assert entry == Entry(
        "eval.judge",
        "a",
        DAY,
        calls=1,
        unpriced_calls=1,
        prompt_tokens=5,
        completion_tokens=1,
        settled_usd=None,
        assumed_usd=D("0.5"),
    )


@pytest.mark.parametrize(
    ("amount", "words"), [("0", "$0.00"), ("1.2", "$1.20"), ("12345.678", "$12345.68"), ("0.000123", "$0.00013")]
)
def test_small_amounts_are_shown_with_the_digits_they_need(amount: str, words: str) -> None:
    assert usd(D(amount)) == words
