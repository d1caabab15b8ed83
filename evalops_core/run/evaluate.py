"""One eval run, as three steps that can be taken one by one (Dagster's assets) or in a row (`evaluate`).

What belongs here: the order of things and who owns the model connections. What does not: each step's own rules (begin,
generate, judge, finish).
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime

from evalops_core.domain.budget import Price
from evalops_core.domain.chat import ChatModel, ModelRef, Usage
from evalops_core.domain.eval_run import EvalRun
from evalops_core.domain.window import window_of
from evalops_core.errors import EvalOpsError
from evalops_core.run.begin import Begun, begin, locate, rescore
from evalops_core.run.budget import Spending
from evalops_core.run.daily_budget import SpendingRules
from evalops_core.run.finish import finish
from evalops_core.run.garbage import sparing_collector
from evalops_core.run.generate import generate
from evalops_core.run.judge import judge
from evalops_core.run.metered import require_price
from evalops_core.run.plan import Plan
from evalops_core.run.progress import Report
from evalops_core.run.tally import Tally, tally
from evalops_core.scorers.protocol import Scorer
from evalops_core.store.results import CaseResults
from evalops_core.store.runs import EvalRuns, require_texts
from evalops_core.store.spend import SpendLedger
from evalops_core.suites.render import PromptRenderer


@dataclass(frozen=True, slots=True)
class Models:
    """What one stage talks to, connected: the feature's model and the scorers, with the price of a call of each.

    `model_concurrency` and `scorer_concurrency` are how many calls each takes at a time.
    """

    model: ChatModel
    scorers: tuple[Scorer, ...]
    model_price: Price
    judge_price: Price
    embedding_price: Price
    model_concurrency: int
    scorer_concurrency: int


@dataclass(frozen=True, slots=True)
class Tools:
    """Everything an evaluation needs from outside."""

    runs: EvalRuns
    results: CaseResults
    ledger: SpendLedger
    spending: SpendingRules
    price_of: Callable[[ModelRef], Price]
    connect: Callable[[Plan, Spending], AbstractAsyncContextManager[Models]]
    now: Callable[[], datetime]


async def answer(plan: Plan, tools: Tools, report: Report) -> Begun:
    """Begin or resume the plan's eval run and store its missing responses.

    EvalOpsError, and the run closed as failed, where not a single case got a response. With nothing begun: EvalOpsError
    for a window that is not open, ConfigError where a hard cap is to hold and a price is unknown. Where a hard cap
    stops it, the run's `status_reason` says so from then on, and makes it `partial` in the end.
    """
    _require_open_window(plan, tools.now())
    _require_prices(plan, tools)
    begun = begin(plan, tools.runs, tools.now())
    if begun.how == "done":
        return begun
    async with _spending(plan, tools, begun.run) as spending, tools.connect(plan, spending) as models:
        stopped = await generate(
            begun.run,
            plan,
            model=models.model,
            render=PromptRenderer(plan.suite).render,
            price=models.model_price,
            results=tools.results,
            spending=spending,
            concurrency=models.model_concurrency,
            report=report,
        )
    if tools.results.count_answered(begun.run.id) == 0:
        first = tools.results.first_error(begun.run.id)
        if first is not None or stopped is None:
            first = first or "there are no cases"
            tools.runs.fail(begun.run.id, f"no case got a response: {first}", tools.now())
            raise EvalOpsError(f"no case of {plan.suite.feature} got a response: {first}")
    if stopped is not None:
        return replace(begun, run=tools.runs.note(begun.run.id, stopped))
    return begun


async def score(plan: Plan, tools: Tools, report: Report, run: EvalRun | None = None) -> EvalRun:
    """Store the missing scores of `run`, or of the plan's eval run; of one that is done, nothing is missing.

    EvalOpsError where its answers were purged.
    """
    run = run or rescore(plan, tools.runs, tools.results)
    if _is_done(run):
        return run
    require_texts(run)
    _require_prices(plan, tools)
    async with _spending(plan, tools, run) as spending, tools.connect(plan, spending) as models:
        stopped = await judge(
            run,
            plan,
            scorers=models.scorers,
            render=PromptRenderer(plan.suite).render,
            price=models.judge_price,
            embedding_price=models.embedding_price,
            results=tools.results,
            spending=spending,
            concurrency=models.scorer_concurrency,
            report=report,
        )
    return run if stopped is None else tools.runs.note(run.id, stopped)


def conclude(plan: Plan, tools: Tools, run: EvalRun | None = None, *, worst_cases: int = 0) -> tuple[EvalRun, Tally]:
    """Compute and store the score of `run`, or of the plan's eval run, from its rows; with what these add up to.

    `worst_cases`: see `tally`.
    """
    run = tools.runs.get(run.id) if run else locate(plan, tools.runs)
    with sparing_collector():
        found = tally(run, plan, tools.results, worst_cases=worst_cases)
    return run if _is_done(run) else finish(run, plan, found, runs=tools.runs, now=tools.now()), found


async def evaluate(plan: Plan, tools: Tools, report: Report) -> EvalRun:
    """All three steps."""
    begun = await answer(plan, tools, report)
    await score(plan, tools, report, begun.run)
    run, _ = conclude(plan, tools, begun.run)
    return run


def _spending(plan: Plan, tools: Tools, run: EvalRun) -> Spending:
    return Spending(run, tools.ledger, tools.spending.caps(plan.suite), tools.now, tools.spending.patience)


def _require_open_window(plan: Plan, now: datetime) -> None:
    """A window is evaluated while it is open: later, today's answers would stand for yesterday's.

    What was launched in time may wait in the queue past its window's end.
    """
    asked_at = plan.asked_at or now
    if plan.past_windows or plan.window.start <= asked_at < plan.window.end:
        return
    when = "has ended" if asked_at >= plan.window.end else "has not begun"
    raise EvalOpsError(
        f"window {plan.window.key} of {plan.suite.feature} {when}, so that its score would mean nothing: evaluate "
        f"window {window_of(asked_at, plan.suite.interval_hours).key}, or set EVALOPS_ALLOW_PAST_WINDOWS=true"
    )


def _require_prices(plan: Plan, tools: Tools) -> None:
    if tools.spending.caps(plan.suite):
        chat, embedding = Usage(1, 1), Usage(1, 0)  # no completion of an embedding has a list price
        for ref, usage in ((plan.model, chat), (plan.judge, chat), (plan.embedding, embedding)):
            if ref is not None:
                require_price(ref, tools.price_of(ref), usage)


def _is_done(run: EvalRun) -> bool:
    """A completed scheduled run is history: no later change of its suite may touch it."""
    return run.run_type == "scheduled" and run.status == "completed"
