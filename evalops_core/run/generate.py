"""The first stage: an answer to every case, of the model that production uses.

What belongs here: which answers are missing, and one call's outcome as a row. What does not: retrying (the provider's),
scoring (judge).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from evalops_core.domain.budget import Price
from evalops_core.domain.chat import ChatModel, ChatReply, ChatRequest, Message
from evalops_core.domain.eval_run import EvalRun, Response
from evalops_core.domain.suite import Case
from evalops_core.errors import CallError
from evalops_core.run.budget import Spending
from evalops_core.run.plan import Plan
from evalops_core.run.progress import Report
from evalops_core.run.stage import run_stage
from evalops_core.store.results import CaseResults


async def generate(
    run: EvalRun,
    plan: Plan,
    *,
    model: ChatModel,
    render: Callable[[Case], Sequence[Message]],
    price: Price,
    results: CaseResults,
    spending: Spending,
    concurrency: int,
    report: Report,
) -> str | None:
    """Store a response for every case and repeat that has none yet; what failed before is tried once more.

    Returns why it was stopped before that, None where it was not.
    """
    done = results.count_answered(run.id)
    missing = _Missing(run, plan, results, len(plan.cases) * plan.suite.repeats - done)

    async def answer(job: tuple[Case, int]) -> Sequence[Response]:
        case, repeat = job
        try:
            reply = await model.complete(ChatRequest(render(case)))
        except CallError as error:
            return [_failure(case, repeat, error)]
        return [_response(case, repeat, reply, price(reply.model, reply.usage))]

    return await run_stage(
        "responses",
        missing,
        answer,
        lambda rows: spending.save(partial(results.save_responses, run.id, rows)),
        concurrency=concurrency,
        failed=lambda rows: any(row.error_class for row in rows),
        resumed=done,
        report=report,
    )


@dataclass(frozen=True)
class _Missing:
    """The jobs without an answer yet, a chunk of cases at a time: a suite may have more cases than fit into memory."""

    run: EvalRun
    plan: Plan
    results: CaseResults
    count: int

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[Case, int]]:
        repeats = self.plan.suite.repeats
        fresh = self.count == len(self.plan.cases) * repeats
        for chunk in self.plan.chunks():
            have = set[tuple[str, int]]() if fresh else self.results.answered(self.run.id, [c.id for c in chunk])
            yield from ((c, repeat) for c in chunk for repeat in range(repeats) if (c.id, repeat) not in have)


def _response(case: Case, repeat: int, reply: ChatReply, cost_usd: "Decimal | None") -> Response:
    return Response(
        case_id=case.id,
        repeat=repeat,
        case_group=case.group,
        text=reply.text,
        model=reply.model,
        finish_reason=reply.finish_reason,
        prompt_tokens=reply.usage.prompt_tokens,
        completion_tokens=reply.usage.completion_tokens,
        cost_usd=cost_usd,
        latency_s=reply.latency_s,
        attempts=reply.attempts,
    )


def _failure(case: Case, repeat: int, error: CallError) -> Response:
    return Response(
        case_id=case.id,
        repeat=repeat,
        case_group=case.group,
        attempts=error.attempts,
        error_class=type(error).__name__,
        error_text=str(error),
    )
