"""The second stage: every scorer's view of every response.

What belongs here: which scores are missing, and a scorer's outcome as rows. What does not: scoring itself (scorers),
when an earlier judgment may be taken (judge_cache), the run's score (finish).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from evalops_core.domain.budget import Price
from evalops_core.domain.chat import Message
from evalops_core.domain.eval_run import EvalRun, Response, ScoreRow
from evalops_core.domain.score import Score
from evalops_core.domain.scorer import Scored, SimilaritySpec, axes_of
from evalops_core.domain.suite import Case
from evalops_core.errors import EvalOpsError
from evalops_core.run.budget import Spending
from evalops_core.run.judge_cache import Question, Recall
from evalops_core.run.plan import Plan
from evalops_core.run.progress import Report
from evalops_core.run.stage import run_stage
from evalops_core.scorers.protocol import Item, Scorer
from evalops_core.store.judge_cache import Entry, Judgment
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
    recall = Recall(run.id, scorers)

    async def score(job: _Job) -> Sequence[_Judged]:
        if (known := recall.taken(job.question)) is not None:
            return [_Judged(_taken_rows(job, known))]
        axes, entry = await recall.ask(job.question)
        each = embedding_price if isinstance(job.question.scorer.spec, SimilaritySpec) else price
        return [_Judged([_row(job, axis, each) for axis in axes], entry)]

    def save(judged: Sequence[_Judged]) -> None:
        rows = [row for one in judged for row in one.rows]
        entries = [one.entry for one in judged if one.entry is not None]
        spending.save(lambda settle: results.save_scores(run.id, rows, recall.also(settle, entries)))

    while True:
        missing = _Missing(run, plan, scorers, render, results, recall)
        stopped = await run_stage(
            "judgments",
            missing,
            score,
            save,
            concurrency=concurrency,
            failed=lambda judged: not all(isinstance(row.outcome, Score) for one in judged for row in one.rows),
            resumed=missing.done,
            report=report,
        )
        if not recall.give_back() or stopped is not None:
            recall.forget()
            return stopped


@dataclass(frozen=True, slots=True)
class _Job:
    """One answer for one scorer."""

    repeat: int
    question: Question


@dataclass(frozen=True, slots=True)
class _Judged:
    """What became of a job: a row an axis, and what the cache is to keep of it."""

    rows: Sequence[ScoreRow]
    entry: Entry | None = None


class _Missing:
    """The jobs whose scores are missing, a chunk of cases at a time: a suite may have more than fit into memory.

    `done` is how many others there are.
    """

    def __init__(
        self,
        run: EvalRun,
        plan: Plan,
        scorers: Sequence[Scorer],
        render: Callable[[Case], Sequence[Message]],
        results: CaseResults,
        recall: Recall,
    ) -> None:
        self._run_id, self._plan, self._scorers = run.id, plan, scorers
        self._render, self._results, self._recall = render, results, recall
        self._count = self.done = 0
        for chunk in self._plan.chunks():
            ids = [case.id for case in chunk]
            jobs = [(*answer, scorer) for answer in results.answered(run.id, ids) for scorer in scorers]
            missing = len(self._unscored(ids, jobs))
            self._count += missing
            self.done += len(jobs) - missing

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[_Job]:
        for chunk in self._plan.chunks():
            cases = {case.id: case for case in chunk}
            answers = {(r.case_id, r.repeat): r for r in self._results.responses(self._run_id, list(cases))}
            jobs = [(*key, scorer) for key, r in answers.items() if r.error_class is None for scorer in self._scorers]
            missing = self._unscored(list(cases), jobs)
            questions = self._recall.look_up(
                [(self._item(cases[case_id], answers[case_id, repeat]), scorer) for case_id, repeat, scorer in missing]
            )
            yield from (_Job(repeat, asked) for (_, repeat, _), asked in zip(missing, questions, strict=True))

    def _item(self, case: Case, answer: Response) -> Item:
        if answer.is_purged:  # while the run was judged: what is not known must not count as an empty answer
            raise EvalOpsError(f"the answers of eval run {self._run_id} were purged, so that there is nothing to judge")
        return Item(case=case, prompt=self._render(case), answer=answer.text or "")

    def _unscored(self, cases: Sequence[str], jobs: Sequence[tuple[str, int, Scorer]]) -> list[tuple[str, int, Scorer]]:
        scored = self._results.scored(self._run_id, cases)
        return [
            (case_id, repeat, scorer)
            for case_id, repeat, scorer in jobs
            if any((case_id, repeat, scorer.spec.name, axis.name) not in scored for axis in axes_of(scorer.spec))
        ]


def _row(job: _Job, scored: Scored, price: Price) -> ScoreRow:
    """`model` is set on the row that carries a paid call's tokens, and on no other."""
    return ScoreRow(
        case_id=job.question.item.case.id,
        repeat=job.repeat,
        scorer=job.question.scorer.spec.name,
        axis=scored.axis,
        outcome=scored.outcome,
        rationale=scored.rationale,
        model=scored.model,
        prompt_tokens=scored.usage.prompt_tokens,
        completion_tokens=scored.usage.completion_tokens,
        cost_usd=price(scored.model, scored.usage) if scored.model else None,
    )


def _taken_rows(job: _Job, known: Judgment) -> list[ScoreRow]:
    """Those of a judgment that an earlier run has paid for; the first names the judge, as that of a call does."""
    case_id, spec = job.question.item.case.id, job.question.scorer.spec
    rows = [
        ScoreRow(case_id, job.repeat, spec.name, axis.name, Score(value), rationale)
        for axis in axes_of(spec)
        for value, rationale in [known.axes[axis.name]]
    ]
    unpaid = replace(rows[0], model=known.model, prompt_tokens=0, completion_tokens=0, cost_usd=Decimal(0))
    return [unpaid, *rows[1:]]
