"""What a scheduled score means beside the ones before it: the verdict.

What belongs here: choosing the baseline, guards, and the rules that compare with it, over values alone. What does not:
where runs are read and verdicts kept (store), what a regression sets off (incident). A further rule stands beside
`fixed_drop`: it takes the candidate and its baseline, and gives a `Verdict`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from evalops_core.domain.comparability import ComparabilityKey, differences_of
from evalops_core.domain.eval_run import EvalRun
from evalops_core.domain.suite import RegressionSpec

VerdictOutcome = Literal["regressed", "stable", "improved", "inconclusive", "no_baseline", "not_comparable"]
Severity = Literal["none", "warn", "page"]

FIXED_DROP = "fixed_drop"
MEASURED_BY = ("scorers", "judge", "judge_parameters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The outcome for `run`. `drop` is `prior` − `current` on the 1–5 scale, so that a fall is positive.

    `prior` is the score of `baseline_run`; both are None where there is none to compare with, and `current` where the
    run has no score. `rule` names what decided, None where it did not come to that. `why` is one sentence.
    """

    run: int
    outcome: VerdictOutcome
    why: str
    severity: Severity = "none"
    rule: str | None = None
    baseline_run: int | None = None
    prior: Decimal | None = None
    current: Decimal | None = None
    drop: Decimal | None = None


def verdict(candidate: EvalRun, history: Sequence[EvalRun], rules: RegressionSpec) -> Verdict:
    """Judge `candidate` against the newest run of `history` that it may be compared with; the order does not matter.

    Only scheduled runs with a valid score are compared, with an earlier window of the same feature and model: an
    invalid run is neither candidate nor baseline, so that the comparison reaches back past it.
    """
    if not _counts(candidate):
        return Verdict(
            run=candidate.id,
            outcome="inconclusive",
            current=candidate.score,
            why=f"a {candidate.run_type} run that is {candidate.status} is compared with nothing",
        )
    baseline = baseline_of(candidate, history)
    if baseline is None:
        return Verdict(
            run=candidate.id,
            outcome="no_baseline",
            current=candidate.score,
            why=f"there is no earlier valid scheduled run of {candidate.feature} with {candidate.model_id}",
        )
    changed = differences_of(baseline.comparability, candidate.comparability, MEASURED_BY)
    if changed:
        return Verdict(
            run=candidate.id,
            outcome="not_comparable",
            baseline_run=baseline.id,
            prior=baseline.score,
            current=candidate.score,
            why=f"{'; '.join(changed)}: the scores are measured differently, and this run is a new baseline",
        )
    return fixed_drop(candidate, baseline, rules.drop)


def baseline_of(candidate: EvalRun, history: Sequence[EvalRun]) -> EvalRun | None:
    """The newest run of `history` that `candidate` may be compared with."""
    earlier = [
        run
        for run in history
        if _counts(run)
        and run.id != candidate.id
        and (run.feature, run.model_id) == (candidate.feature, candidate.model_id)
        and run.window_start < candidate.window_start
    ]
    return max(earlier, key=lambda run: (run.window_start, run.id), default=None)


def fixed_drop(candidate: EvalRun, baseline: EvalRun, threshold: Decimal) -> Verdict:
    """Regressed where the score fell by `threshold` or more, improved where it rose by as much, else stable.

    Scores are compared as they are stored, as decimals. ValueError where one of the two has no score.
    """
    if candidate.score is None or baseline.score is None:
        raise ValueError("a run without a score is compared with nothing")
    drop = baseline.score - candidate.score
    moved = "the same as" if drop == 0 else f"{abs(drop)} {'below' if drop > 0 else 'above'}"
    return Verdict(
        run=candidate.id,
        outcome="regressed" if drop >= threshold else "improved" if -drop >= threshold else "stable",
        severity="page" if drop >= threshold else "none",
        rule=FIXED_DROP,
        baseline_run=baseline.id,
        prior=baseline.score,
        current=candidate.score,
        drop=drop,
        why=f"{candidate.score} is {moved} the {baseline.score} of window {baseline.partition_key} "
        f"(a drop of {threshold} or more is a regression)",
    )


def measured_alike(one: ComparabilityKey, other: ComparabilityKey) -> bool:
    """Whether two scores were measured by the same scorers and judge, so that a difference is the feature's own."""
    return not differences_of(one, other, MEASURED_BY)


def _counts(run: EvalRun) -> bool:
    return run.run_type == "scheduled" and run.status == "completed" and run.score is not None
