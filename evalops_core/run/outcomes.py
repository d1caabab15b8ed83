"""From the rows of some cases to their outcomes.

What belongs here: that one reduction, as `store.case_means` makes it in the database. What does not: what a run's
outcomes add up to (tally), the arithmetic of repeats and axes (domain.score).
"""

from collections.abc import Iterable, Sequence

from evalops_core.domain.eval_run import PURGED, EvalRun, Response, ScoreRow
from evalops_core.domain.score import Outcome, Unscored, reduce_repeats, weigh_axes


def outcomes(
    run: EvalRun, ids: Iterable[str], responses: Sequence[Response], scores: Sequence[ScoreRow]
) -> dict[str, Outcome]:
    """Case id → its score over axes and repeats, or why it has none; of the cases `ids`, from their rows.

    Weights and repeats are the run's own, so that a suite that changed since does not change the past.
    """
    weights = {axis_of(axis): share for axis, share in run.weights.items()}
    answers = {(r.case_id, r.repeat): r for r in responses}
    axes: dict[tuple[str, int], dict[tuple[str, str], Outcome]] = {}
    for row in scores:
        axes.setdefault((row.case_id, row.repeat), {})[row.scorer, row.axis] = row.outcome

    def outcome(case_id: str, repeat: int) -> Outcome:
        answer = answers.get((case_id, repeat))
        if answer is None:
            return Unscored("no response yet")
        if answer.error_class is not None:
            return Unscored(f"no response ({answer.error_class}): {answer.error_text or PURGED}")
        return weigh_axes(axes.get((case_id, repeat), {}), weights)

    return {
        case: reduce_repeats([outcome(case, repeat) for repeat in range(run.comparability.repeats)]) for case in ids
    }


def axis_of(name: str) -> tuple[str, str]:
    """`scorer.axis` as a pair; a scorer's name has no dot, an axis may."""
    scorer, _, axis = name.partition(".")
    return scorer, axis
