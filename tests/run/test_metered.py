"""What is assumed of a call whose cost nobody tells: its worst case, or nothing where its model has no price."""

import asyncio
from datetime import datetime, timezone
from decimal import Decimal

from sqlalchemy import Engine

from evalops_core.domain.budget import Caps, Price
from evalops_core.domain.chat import ChatReply, Usage
from evalops_core.providers.retry import BeforeRetry
from evalops_core.run.budget import Spending
from evalops_core.run.metered import Meter
from evalops_core.store.runs import EvalRuns
from evalops_core.store.spend import SpendLedger
from tests.store.rows import started


def call(engine: Engine, price: Price) -> tuple[Decimal, int]:
    """A call whose tokens nobody counted: what the ledger assumes of it, and how often its request was measured."""
    run, ledger, measured = started(EvalRuns(engine)), SpendLedger(engine), 0

    def most() -> Usage:
        nonlocal measured
        measured += 1
        return Usage(1000, 1000)

    async def send(_: BeforeRetry) -> ChatReply:
        return ChatReply("an answer", "m", "stop", Usage(), 0.1)

    async def meter() -> None:
        async with Spending(run, ledger, Caps(), lambda: datetime.now(timezone.utc)) as spending:
            await Meter("m", "eval.generate", price, spending).call(most, send)

    asyncio.run(meter())
    [entry] = ledger.of_run(run.id)
    return entry.assumed_usd, measured


def a_dollar_per_thousand(_: str, usage: Usage) -> Decimal | None:
    if usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    return Decimal(usage.prompt_tokens + usage.completion_tokens) / 1000


def test_a_call_of_unknown_cost_counts_as_its_worst_case(engine: Engine) -> None:
    assert call(engine, a_dollar_per_thousand) == (Decimal(2), 1)


def test_no_request_is_measured_for_a_model_that_has_no_price(engine: Engine) -> None:
    assert call(engine, lambda _model, _usage: None) == (Decimal(0), 0)
