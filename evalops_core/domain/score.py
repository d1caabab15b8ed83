"""From axis scores to a case's score to a run's: the arithmetic that every number on a page comes from.

What belongs here: reducing and summarising. What does not: how an axis is scored (scorers), what a difference between
two runs means (regression). Missing is never zero: what could not be scored is an `Unscored` with its reason, counted
and never averaged.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Union

LOWEST, HIGHEST = 1.0, 5.0
Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Score:
    """A value on the 1–5 scale."""

    value: float

    def __post_init__(self) -> None:
        if not LOWEST <= self.value <= HIGHEST:  # also refuses NaN
            raise ValueError(f"a score lies between 1 and 5, not {self.value!r}")


@dataclass(frozen=True, slots=True)
class Unscored:
    """No score, and why, in words that a person can act on."""

    reason: str


Outcome = Union[Score, Unscored]


@dataclass(frozen=True, slots=True)
class RunScore:
    """A run's summary. `mean`, `se` and the 95 % interval are on the 1–5 scale and None where they do not exist.

    `n` counts the scored cases, `n_unscored` the others, `coverage` is n / (n + n_unscored). `axes` maps
    `scorer.axis` to the mean over the scored cases.
    """

    mean: float | None
    se: float | None
    n: int
    n_unscored: int
    axes: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def coverage(self) -> float:
        total = self.n + self.n_unscored
        return self.n / total if total else 0.0

    @property
    def interval(self) -> tuple[float, float] | None:
        """Mean ± 1.96 SE (Miller 2024, arXiv 2411.00640, section 2), kept within the scale."""
        if self.mean is None or self.se is None:
            return None
        return max(LOWEST, self.mean - Z95 * self.se), min(HIGHEST, self.mean + Z95 * self.se)


def weigh_axes(outcomes: Mapping[tuple[str, str], Outcome], weights: Mapping[tuple[str, str], float]) -> Outcome:
    """One response's score: the weighted mean of its axes, by (scorer, axis).

    An axis that counts and has no score leaves the whole response unscored: averaging the others would compare it
    with responses that were measured differently.
    """
    total = 0.0
    for key, weight in weights.items():
        if weight == 0:
            continue
        outcome = outcomes.get(key, Unscored("not scored yet"))
        if isinstance(outcome, Unscored):
            return Unscored(f"{'.'.join(dict.fromkeys(key))}: {outcome.reason}")
        total += weight * outcome.value
    return Score(min(max(total, LOWEST), HIGHEST))  # rounding may carry a sum of 5s past 5


def reduce_repeats(outcomes: Sequence[Outcome]) -> Outcome:
    """A case's score: the mean over its scored repeats; unscored only where none is, with the first reason."""
    values = [outcome.value for outcome in outcomes if isinstance(outcome, Score)]
    if values:
        return Score(min(max(math.fsum(values) / len(values), LOWEST), HIGHEST))
    return next((o for o in outcomes if isinstance(o, Unscored)), Unscored("no response"))


def summarise(
    cases: Mapping[str, Outcome],
    groups: Mapping[str, str | None] | None = None,
    axes: Mapping[str, float] | None = None,
) -> RunScore:
    """A run's score over its cases (by id), its standard error clustered by `groups` (by case id) where given.

    SE = √(Σ(s−s̄)²/(n−1)/n); clustered √(SE² + Σ_c Σ_{i≠j∈c}(s_i−s̄)(s_j−s̄)/n²) (Miller 2024, arXiv 2411.00640,
    sections 2.1 and 2.2). One scored case has no standard error.
    """
    scored = {case: outcome.value for case, outcome in cases.items() if isinstance(outcome, Score)}
    return summary_of(scored, len(cases) - len(scored), groups, axes)


def summary_of(
    scored: Mapping[str, float],
    n_unscored: int,
    groups: Mapping[str, str | None] | None = None,
    axes: Mapping[str, float] | None = None,
) -> RunScore:
    """The same of the scored cases' values by id, and the number of the others."""
    n = len(scored)
    mean = math.fsum(scored.values()) / n if n else None
    return RunScore(
        mean=mean,
        se=None if mean is None or n < 2 else standard_error(scored, groups or {}),
        n=n,
        n_unscored=n_unscored,
        axes=dict(axes or {}),
    )


def standard_error(scores: Mapping[str, float], groups: Mapping[str, str | None]) -> float:
    """See `summarise`; needs at least two scores."""
    n = len(scores)
    mean = math.fsum(scores.values()) / n
    variance = math.fsum((value - mean) ** 2 for value in scores.values()) / (n - 1) / n
    sums: dict[str, list[float]] = {}
    for case, group in groups.items():
        if group is not None and case in scores:
            sums.setdefault(group, []).append(scores[case] - mean)
    # Σ_{i≠j} d_i d_j = (Σ d)² − Σ d², a cluster at a time; negative within-cluster correlation may not go below 0
    between = math.fsum(math.fsum(ds) ** 2 - math.fsum(d * d for d in ds) for ds in sums.values())
    return math.sqrt(max(0.0, variance + between / n**2))


def axis_bounds(values: Sequence[float]) -> tuple[float, float]:
    """The ends of a picture's axis: halves around the values, at least 1 apart, within 1–5."""
    low = max(LOWEST, math.floor((min(values) - 0.1) * 2) / 2)
    high = min(HIGHEST, math.ceil((max(values) + 0.1) * 2) / 2)
    if high - low < 1.0:
        low, high = (low, low + 1.0) if low <= 4.0 else (4.0, 5.0)
    return low, high
