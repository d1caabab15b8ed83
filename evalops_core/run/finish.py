"""The last step: from the stored rows to the run's score and status.

What belongs here: recomputing everything about a run from its rows, as often as one likes. What does not: what the
score means beside an earlier one (compare).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from evalops_core.domain.eval_run import EvalRun, Response, RunStatus, ScoreRow
from evalops_core.domain.score import Outcome, RunScore, Score, Unscored, reduce_repeats, summarise, weigh_axes
from evalops_core.errors import EvalOpsError
from evalops_core.run.plan import Plan
from evalops_core.store.results import CaseResults
from evalops_core.store.runs import EvalRuns, Finished


def finish(run: EvalRun, plan: Plan, *, runs: EvalRuns, results: CaseResults, now: datetime) -> EvalRun:
    """Compute and store the run's score; doing it again gives the same."""
    if run.comparability.scorers != plan.scorers_version:
        raise EvalOpsError(
            f"the scorers of {run.feature} changed since eval run {run.id} was judged: "
            f"materialize {run.feature}/judgments together with its eval_score"
        )
    responses, scores = results.responses(run.id), results.scores(run.id)
    cases = case_outcomes(plan, responses, scores)
    groups = {case.id: case.group for case in plan.cases}
    summary = summarise(cases, groups, axis_means(cases, scores))
    status, reason = judge_status(summary, cases, plan.suite.regression.min_coverage)
    model = most_common(r.model for r in responses)
    judge = most_common(s.model for s in scores)
    resolved = replace(
        run.comparability, model=model or run.comparability.model, judge=judge or run.comparability.judge
    )
    return runs.finish(
        run.id,
        Finished(
            status=status,
            status_reason=reason,
            model_id=model,
            judge_model_id=judge,
            comparability=resolved,
            score=_decimal(summary.mean, "0.001"),
            se=_decimal(summary.se, "0.0001"),
            n=summary.n,
            n_unscored=summary.n_unscored,
            coverage=summary.coverage,
            breakdown=summary.axes,
            prompt_tokens=_total([*(r.prompt_tokens for r in responses), *(s.prompt_tokens for s in scores)]),
            completion_tokens=_total(
                [*(r.completion_tokens for r in responses), *(s.completion_tokens for s in scores)]
            ),
            cost_usd=cost(responses, scores),
            finished_at=run.finished_at or now,
        ),
    )


def case_outcomes(plan: Plan, responses: Sequence[Response], scores: Sequence[ScoreRow]) -> dict[str, Outcome]:
    """Case id → its score over axes and repeats, or why it has none; every case of the plan is there."""
    weights = plan.weights
    answers = {(r.case_id, r.repeat): r for r in responses}
    axes: dict[tuple[str, int], dict[tuple[str, str], Outcome]] = {}
    for row in scores:
        axes.setdefault((row.case_id, row.repeat), {})[row.scorer, row.axis] = row.outcome

    def outcome(case_id: str, repeat: int) -> Outcome:
        answer = answers.get((case_id, repeat))
        if answer is None:
            return Unscored("no response yet")
        if answer.error_class is not None:
            return Unscored(f"no response ({answer.error_class}): {answer.error_text}")
        return weigh_axes(axes.get((case_id, repeat), {}), weights)

    return {
        case.id: reduce_repeats([outcome(case.id, repeat) for repeat in range(plan.suite.repeats)])
        for case in plan.cases
    }


def axis_means(cases: Mapping[str, Outcome], scores: Sequence[ScoreRow]) -> dict[str, float]:
    """`scorer.axis` → mean over the scored cases, a case counting once however many repeats it has."""
    by_axis: dict[str, dict[str, list[float]]] = {}
    for row in scores:
        if isinstance(row.outcome, Score) and isinstance(cases.get(row.case_id), Score):
            by_axis.setdefault(f"{row.scorer}.{row.axis}", {}).setdefault(row.case_id, []).append(row.outcome.value)
    return {
        axis: sum(sum(values) / len(values) for values in by_case.values()) / len(by_case)
        for axis, by_case in sorted(by_axis.items())
    }


def judge_status(summary: RunScore, cases: Mapping[str, Outcome], min_coverage: float) -> tuple[RunStatus, str | None]:
    """Whether the score may be trusted: with too few cases scored it is invalid, which is not the same as low."""
    if summary.n_unscored == 0 and summary.n > 0:
        return "completed", None
    reasons = Counter(o.reason.split(":")[0] for o in cases.values() if isinstance(o, Unscored))
    listed = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common(3)) or "the suite has no cases"
    words = f"{summary.n_unscored} of {summary.n + summary.n_unscored} cases have no score: {listed}"
    if summary.n == 0 or summary.coverage < min_coverage:
        return "invalid", f"coverage {summary.coverage:.1%} is below {min_coverage:.0%}; {words}"
    return "completed", words


def cost(responses: Sequence[Response], scores: Sequence[ScoreRow]) -> Decimal | None:
    """US dollars of all answered calls; None where the price of any of them is unknown."""
    paid = [r.cost_usd for r in responses if r.error_class is None] + [s.cost_usd for s in scores if s.model]
    known = [amount for amount in paid if amount is not None]
    return sum(known, Decimal(0)) if len(known) == len(paid) else None


def most_common(names: Iterable[str | None]) -> str | None:
    counted = Counter(name for name in names if name)
    return counted.most_common(1)[0][0] if counted else None


def _total(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _decimal(value: float | None, unit: str) -> Decimal | None:
    return None if value is None else Decimal(str(value)).quantize(Decimal(unit))
