"""The second stage: every scorer's view of every response.

What belongs here: which scores are missing, and a scorer's outcome as rows. What does not: scoring itself (scorers),
the run's score (finish).
"""

from collections.abc import Callable, Sequence
from functools import partial

from evalops_core.domain.budget import Price
from evalops_core.domain.chat import Message
from evalops_core.domain.eval_run import EvalRun, Response, ScoreRow
from evalops_core.domain.score import Score
from evalops_core.domain.scorer import Scored, SimilaritySpec, axes_of
from evalops_core.domain.suite import Case
from evalops_core.run.budget import Spending
from evalops_core.run.plan import Plan
from evalops_core.run.progress import Report
from evalops_core.run.stage import run_stage
from evalops_core.scorers.protocol import Item, Scorer
from evalops_core.store.results import CaseResults


async def judge(
    run: EvalRun,
    plan: Plan,
    *,
    scorers: Sequence[Scorer],
    render: Callable[[Case], Sequence[Message]],
    price: Price,
    embedding_price: Price,
    results: CaseResults,
    spending: Spending,
    concurrency: int,
    report: Report,
) -> str | None:
    """Store every axis of every stored answer that has no score yet; what could not be scored before is tried again.

    An answer that failed is left alone: it has nothing to judge, and its error is the case's reason. Returns why it was
    stopped before the last score, None where it was not.
    """
    cases = {case.id: case for case in plan.cases}
    answers = [r for r in results.responses(run.id) if r.error_class is None and r.case_id in cases]
    scored = {(s.case_id, s.repeat, s.scorer, s.axis) for s in results.scores(run.id) if isinstance(s.outcome, Score)}
    jobs = [(answer, scorer) for answer in answers for scorer in scorers]
    missing = [job for job in jobs if any(key not in scored for key in _keys(*job))]

    async def score(job: tuple[Response, Scorer]) -> Sequence[ScoreRow]:
        answer, scorer = job
        case = cases[answer.case_id]
        axes = await scorer.score(Item(case=case, prompt=render(case), answer=answer.text or ""))
        each = embedding_price if isinstance(scorer.spec, SimilaritySpec) else price
        return [_row(answer, scorer, axis, each) for axis in axes]

    return await run_stage(
        "judgments",
        missing,
        score,
        lambda rows: spending.save(partial(results.save_scores, run.id, rows)),
        concurrency=concurrency,
        failed=lambda rows: not all(isinstance(row.outcome, Score) for row in rows),
        resumed=len(jobs) - len(missing),
        report=report,
    )


def _keys(answer: Response, scorer: Scorer) -> list[tuple[str, int, str, str]]:
    return [(answer.case_id, answer.repeat, scorer.spec.name, axis.name) for axis in axes_of(scorer.spec)]


def _row(answer: Response, scorer: Scorer, scored: Scored, price: Price) -> ScoreRow:
    """`model` is set on the row that carries a paid call's tokens, and on no other."""
    return ScoreRow(
        case_id=answer.case_id,
        repeat=answer.repeat,
        scorer=scorer.spec.name,
        axis=scored.axis,
        outcome=scored.outcome,
        rationale=scored.rationale,
        model=scored.model,
        prompt_tokens=scored.usage.prompt_tokens,
        completion_tokens=scored.usage.completion_tokens,
        cost_usd=price(scored.model, scored.usage) if scored.model else None,
    )
