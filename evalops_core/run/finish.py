"""The last step: from the stored rows to the run's score and status.

What belongs here: recomputing everything about a run from its rows, as often as one likes. What does not: reading and
adding them up (tally), what the score means beside an earlier one (compare).
"""

from collections import Counter
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from evalops_core.domain.eval_run import EvalRun, RunStatus
from evalops_core.domain.score import RunScore
from evalops_core.run.plan import Plan
from evalops_core.run.tally import Tally
from evalops_core.store.runs import EvalRuns, Finished


def finish(run: EvalRun, plan: Plan, found: Tally, *, runs: EvalRuns, now: datetime) -> EvalRun:
    """Compute and store the run's score from what its rows add up to; doing it again gives the same."""
    summary, calls = found.summary, found.calls
    status, reason = judge_status(summary, found.reasons, plan.suite.regression.min_coverage)
    if was_stopped(run) and not (summary.n_unscored == 0 and found.complete):
        status, reason = "partial", run.status_reason
    resolved = replace(
        run.comparability,
        model=found.model or run.comparability.model,
        judge=found.judge or run.comparability.judge,
    )
    return runs.finish(
        run.id,
        Finished(
            status=status,
            status_reason=reason,
            model_id=found.model,
            judge_model_id=found.judge,
            comparability=resolved,
            score=_decimal(summary.mean, "0.001"),
            se=_decimal(summary.se, "0.0001"),
            n=summary.n,
            n_unscored=summary.n_unscored,
            coverage=summary.coverage,
            breakdown=summary.axes,
            prompt_tokens=calls.prompt_tokens,
            completion_tokens=calls.completion_tokens,
            cost_usd=calls.cost_usd,
            finished_at=run.finished_at or now,
        ),
    )


def judge_status(summary: RunScore, reasons: "Counter[str]", min_coverage: float) -> tuple[RunStatus, str | None]:
    """Whether the score may be trusted: with too few cases scored it is invalid, which is not the same as low."""
    if summary.n_unscored == 0 and summary.n > 0:
        return "completed", None
    listed = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common(3)) or "the suite has no cases"
    words = f"{summary.n_unscored} of {summary.n + summary.n_unscored} cases have no score: {listed}"
    if summary.n == 0 or summary.coverage < min_coverage:
        return "invalid", f"coverage {summary.coverage:.1%} is below {min_coverage:.0%}; {words}"
    return "completed", words


def was_stopped(run: EvalRun) -> bool:
    """Whether a hard cap ended a stage since the run was begun or resumed: nothing else leaves a reason so early."""
    return run.status_reason is not None and run.status in ("running", "partial")


def _decimal(value: float | None, unit: str) -> Decimal | None:
    return None if value is None else Decimal(str(value)).quantize(Decimal(unit))
