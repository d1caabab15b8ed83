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
from evalops_core.domain.scorer import JudgeSpec
from evalops_core.run.plan import Plan
from evalops_core.store.results import CaseResults
from evalops_core.store.runs import EvalRuns, Finished


def finish(run: EvalRun, plan: Plan, *, runs: EvalRuns, results: CaseResults, now: datetime) -> EvalRun:
    """Compute and store the run's score; doing it again gives the same."""
    responses, scores = results.responses(run.id), results.scores(run.id)
    cases = case_outcomes(run, plan, responses, scores)
    groups = {r.case_id: r.case_group for r in responses}
    summary = summarise(cases, groups, axis_means(cases, scores))
    status, reason = judge_status(summary, cases, plan.suite.regression.min_coverage)
    if was_stopped(run) and not (summary.n_unscored == 0 and nothing_missing(run, cases, responses, scores)):
        status, reason = "partial", run.status_reason
    model = most_common(r.model for r in responses)
    judge = judge_of(plan, scores)
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
            prompt_tokens=total([call.prompt_tokens for call in calls(responses, scores)]),
            completion_tokens=total([call.completion_tokens for call in calls(responses, scores)]),
            cost_usd=cost(responses, scores),
            finished_at=run.finished_at or now,
        ),
    )


def case_outcomes(
    run: EvalRun, plan: Plan, responses: Sequence[Response], scores: Sequence[ScoreRow]
) -> dict[str, Outcome]:
    """Case id → its score over axes and repeats, or why it has none.

    Weights and repeats are the run's own, so that a suite that changed since does not change the past. Every case of
    the plan is there if the run is of the plan's cases, else every case that the run asked.
    """
    key = run.comparability
    same = (key.dataset, key.cases) == (plan.key.dataset, plan.key.cases)
    ids = [case.id for case in plan.cases] if same else list(dict.fromkeys(r.case_id for r in responses))
    return outcomes(run, ids, responses, scores)


def outcomes(
    run: EvalRun, ids: Iterable[str], responses: Sequence[Response], scores: Sequence[ScoreRow]
) -> dict[str, Outcome]:
    """The same for the cases `ids`, from the run and its rows alone."""
    weights = {tuple_of(axis): share for axis, share in run.weights.items()}
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
        case: reduce_repeats([outcome(case, repeat) for repeat in range(run.comparability.repeats)]) for case in ids
    }


def was_stopped(run: EvalRun) -> bool:
    """Whether a hard cap ended a stage since the run was begun or resumed: nothing else leaves a reason so early."""
    return run.status_reason is not None and run.status in ("running", "partial")


def nothing_missing(
    run: EvalRun, cases: Iterable[str], responses: Sequence[Response], scores: Sequence[ScoreRow]
) -> bool:
    """Whether every repeat of every case was asked, and every answer judged on every axis, however it went."""
    asked = {(r.case_id, r.repeat) for r in responses}
    judged = {(s.case_id, s.repeat, f"{s.scorer}.{s.axis}") for s in scores}
    answered = [(r.case_id, r.repeat) for r in responses if r.error_class is None]
    return all((case, repeat) in asked for case in cases for repeat in range(run.comparability.repeats)) and all(
        (*key, axis) in judged for key in answered for axis in run.weights
    )


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
    reasons = Counter(": ".join(o.reason.split(": ", 2)[:2]) for o in cases.values() if isinstance(o, Unscored))
    listed = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common(3)) or "the suite has no cases"
    words = f"{summary.n_unscored} of {summary.n + summary.n_unscored} cases have no score: {listed}"
    if summary.n == 0 or summary.coverage < min_coverage:
        return "invalid", f"coverage {summary.coverage:.1%} is below {min_coverage:.0%}; {words}"
    return "completed", words


def calls(responses: Sequence[Response], scores: Sequence[ScoreRow]) -> list[Response | ScoreRow]:
    """The rows that stand for an answered call: a judge's or an embedding model's is on the first of its axes."""
    return [*(r for r in responses if r.error_class is None), *(s for s in scores if s.model)]


def cost(responses: Sequence[Response], scores: Sequence[ScoreRow]) -> Decimal | None:
    """US dollars of all answered calls; None where the price of any of them is unknown."""
    paid = [call.cost_usd for call in calls(responses, scores)]
    known = [amount for amount in paid if amount is not None]
    return sum(known, Decimal(0)) if len(known) == len(paid) else None


def total(counts: Sequence[int | None]) -> int | None:
    """Their sum; None where any of them is unknown."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def judge_of(plan: Plan, scores: Iterable[ScoreRow]) -> str | None:
    """The judge as its endpoint resolved it; an embedding model is paid for too and judges nothing."""
    judges = {spec.name for spec in plan.specs if isinstance(spec, JudgeSpec)}
    return most_common(row.model for row in scores if row.scorer in judges)


def most_common(names: Iterable[str | None]) -> str | None:
    counted = Counter(name for name in names if name)
    return counted.most_common(1)[0][0] if counted else None


def tuple_of(axis: str) -> tuple[str, str]:
    """`scorer.axis` as a pair; a scorer's name has no dot, an axis may."""
    scorer, _, name = axis.partition(".")
    return scorer, name


def _decimal(value: float | None, unit: str) -> Decimal | None:
    return None if value is None else Decimal(str(value)).quantize(Decimal(unit))
