"""How much the scores of a feature's cases move by themselves from run to run, as its stored runs show it.

What belongs here: the noise, its parts, and what is assumed where nothing is stored. What does not: what can be found
in spite of it (power), the formulas (domain.regression.intervals), which runs are read (power).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evalops_core.domain.eval_run import EvalRun, ScoreRow
from evalops_core.domain.regression import measured_alike
from evalops_core.domain.regression.history import FEWEST_RUNS, design_effect, history_test, moments_of
from evalops_core.domain.regression.intervals import variance_of_difference, variance_with_repeats
from evalops_core.domain.regression.measure import clusters_of
from evalops_core.domain.regression.paired import paired_test
from evalops_core.domain.regression.sample import Sample
from evalops_core.domain.score import Outcome, Score, weigh_axes
from evalops_core.run.outcomes import axis_of
from evalops_core.store.results import CaseResults

ASSUMED_SD = 0.5  # of one case's score between repeats, on the 1–5 scale
_RUNS_FOR_REPEATS = 3  # runs whose repeats are read one by one

Method = Literal["history", "paired", "assumed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """The variance of one case's difference between a run and its baseline, in score points².

    `between` is what repeats do not average away, `within` what one repeat brings and K repeats divide by K. `basis`
    says where both come from, `runs` how many stored runs, `split` whether the two were told apart by measuring.
    """

    method: Method
    between: float
    within: float
    runs: int
    split: bool
    basis: str

    def error(self, cases: int, repeats: int) -> float:
        """SE of the mean drop (Miller 2024, arXiv 2411.00640, section 3.1)."""
        return math.sqrt(variance_with_repeats(self.between, self.within, repeats, cases))


def noise_of(runs: Sequence[EvalRun], samples: Sequence[Sample], results: CaseResults, *, learn: bool) -> Noise:
    """From the newest runs of one configuration, else of one measure, oldest first; assumed where there are too few.

    Without `learn` rule C is left out.
    """
    known = [(run, sample) for run, sample in zip(runs, samples, strict=True) if sample.scores]
    same = [sample for _, sample in known if sample.configuration == known[-1][1].configuration]
    alike = [sample for run, sample in known if measured_alike(run.comparability, known[-1][0].comparability)]
    within = _within([run for run, _ in known][-_RUNS_FOR_REPEATS:], results) if same else None
    if learn and len(same) >= FEWEST_RUNS:
        newest = same[-1]
        effect = design_effect(same, newest.scores, newest.groups)
        test = history_test(moments_of(same), newest.scores, design_effect=effect)
        if test is not None:
            variance = (test.se or 0.0) ** 2 * len(test.cases)
            share = None if within is None else _share(within / newest.repeats, test.noise**2)
            basis = f"the noise of each case between the last {len(same)} comparable runs (rule C)"
            return _parted("history", variance, share, newest.repeats, len(same), basis)
    last = same if len(same) > 1 else alike
    if len(last) > 1:
        one, other = last[-2:]
        cases = [case for case in other.scores if case in one.scores]
        test = (
            paired_test([one.scores[c] - other.scores[c] for c in cases], clusters_of(other, cases)) if cases else None
        )
        if test is not None and test.se is not None:
            variance = test.se**2 * len(cases)
            share = None if within is None else _share(2 * within / other.repeats, variance)
            basis = f"the differences between the last two comparable runs, {one.run} and {other.run} (rule B)"
            if last is alike:
                basis += "; their configurations differ, so that a real change between them counts as noise"
            return _parted("paired", variance, share, other.repeats, 2, basis)
    # two runs whose cases have the same true score: ω² is 0 (section 5)
    assumed = variance_of_difference(0.0, ASSUMED_SD**2, ASSUMED_SD**2, 1, 1)
    basis = (
        f"assumed, not measured: a case's score has a standard deviation of {ASSUMED_SD:g} between repeats, and cases "
        "are independent; two comparable scheduled runs replace this by what they show"
    )
    return Noise(method="assumed", between=0.0, within=assumed, runs=0, split=False, basis=basis)


def _parted(method: Method, variance: float, share: float | None, repeats: int, runs: int, basis: str) -> Noise:
    """`share` of the variance is of repeats; all of it where that is not known."""
    of_repeats = 1.0 if share is None else share
    return Noise(
        method=method,
        between=variance * (1 - of_repeats),
        within=variance * of_repeats * repeats,
        runs=runs,
        split=share is not None,
        basis=basis,
    )


def _share(part: float, whole: float) -> float:
    return min(1.0, part / whole) if whole > 0 else 1.0


def _within(runs: Sequence[EvalRun], results: CaseResults) -> float | None:
    """σ², the variance of a case's score between its repeats, pooled over cases and runs; None without repeats."""
    squares, free = 0.0, 0
    for run in runs:
        if run.comparability.repeats < 2:
            continue
        for values in _by_case(run, results.scores(run.id)).values():
            mean = math.fsum(values) / len(values)
            squares += math.fsum((value - mean) ** 2 for value in values)
            free += len(values) - 1
    return squares / free if free else None


def _by_case(run: EvalRun, rows: Sequence[ScoreRow]) -> dict[str, list[float]]:
    """The score of each scored repeat."""
    weights = {axis_of(axis): share for axis, share in run.weights.items()}
    axes: dict[tuple[str, int], dict[tuple[str, str], Outcome]] = {}
    for row in rows:
        axes.setdefault((row.case_id, row.repeat), {})[row.scorer, row.axis] = row.outcome
    found: dict[str, list[float]] = {}
    for (case, _), outcomes in axes.items():
        outcome = weigh_axes(outcomes, weights)
        if isinstance(outcome, Score):
            found.setdefault(case, []).append(outcome.value)
    return found
