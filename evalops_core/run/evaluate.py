"""One eval run, as three steps that can be taken one by one (Dagster's assets) or in a row (`evaluate`).

What belongs here: the order of things and who owns the model connections. What does not: each step's own rules (begin,
generate, judge, finish).
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime

from evalops_core.domain.chat import ChatModel
from evalops_core.domain.eval_run import EvalRun
from evalops_core.errors import EvalOpsError
from evalops_core.run.begin import Begun, begin, locate, rescore
from evalops_core.run.finish import finish
from evalops_core.run.generate import Price, generate
from evalops_core.run.judge import judge
from evalops_core.run.plan import Plan
from evalops_core.run.progress import Report
from evalops_core.scorers.protocol import Scorer
from evalops_core.store.results import CaseResults
from evalops_core.store.runs import EvalRuns
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
    model_concurrency: int
    scorer_concurrency: int


@dataclass(frozen=True, slots=True)
class Tools:
    """Everything an evaluation needs from outside."""

    runs: EvalRuns
    results: CaseResults
    connect: Callable[[Plan], AbstractAsyncContextManager[Models]]
    now: Callable[[], datetime]


async def answer(plan: Plan, tools: Tools, report: Report) -> Begun:
    """Begin or resume the plan's eval run and store its missing responses.

    EvalOpsError, and the run closed as failed, where not a single case got a response.
    """
    begun = begin(plan, tools.runs, tools.now())
    if begun.how == "done":
        return begun
    async with tools.connect(plan) as models:
        await generate(
            begun.run,
            plan,
            model=models.model,
            render=PromptRenderer(plan.suite).render,
            price=models.model_price,
            results=tools.results,
            concurrency=models.model_concurrency,
            report=report,
        )
    responses = tools.results.responses(begun.run.id)
    if all(response.error_class for response in responses):
        first = responses[0].error_text if responses else "there are no cases"
        tools.runs.fail(begun.run.id, f"no case got a response: {first}", tools.now())
        raise EvalOpsError(f"no case of {plan.suite.feature} got a response: {first}")
    return begun


async def score(plan: Plan, tools: Tools, report: Report) -> EvalRun:
    """Store the missing scores of the plan's eval run; of one that is done, nothing is missing."""
    run = rescore(plan, tools.runs, tools.results)
    if _is_done(run):
        return run
    async with tools.connect(plan) as models:
        await judge(
            run,
            plan,
            scorers=models.scorers,
            render=PromptRenderer(plan.suite).render,
            price=models.judge_price,
            results=tools.results,
            concurrency=models.scorer_concurrency,
            report=report,
        )
    return run


def conclude(plan: Plan, tools: Tools) -> EvalRun:
    """Compute and store the score of the plan's eval run from its rows."""
    run = locate(plan, tools.runs)
    return run if _is_done(run) else finish(run, plan, runs=tools.runs, results=tools.results, now=tools.now())


async def evaluate(plan: Plan, tools: Tools, report: Report) -> EvalRun:
    """All three steps."""
    await answer(plan, tools, report)
    await score(plan, tools, report)
    return conclude(plan, tools)


def _is_done(run: EvalRun) -> bool:
    """A completed scheduled run is history: no later change of its suite may touch it."""
    return run.run_type == "scheduled" and run.status == "completed"
