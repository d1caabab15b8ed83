"""Rule C: a run beside several of the same configuration, whose noise has been learned from them, case by case.

What belongs here: the moments of each case's scores between runs, and the test of a run against them. What does not:
which runs are history (assess), sums over runs (cusum).

Its null hypothesis is "no case has changed". After a deliberate change it fires on harmless churn, cases that got
better and worse in equal parts; it is for unchanged configurations alone.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from evalops_core.domain.regression.intervals import interval
from evalops_core.domain.regression.paired import sign_flip
from evalops_core.domain.regression.sample import Sample

FEWEST_RUNS, MOST_RUNS = 5, 10
_DIGITS = 9
_EXACT_UP_TO = 13


class Moments(NamedTuple):
    """A case over its runs: how many, their mean, and the sum of squared deviations from it (score points²)."""

    runs: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def with_score(self, score: float) -> "Moments":
        """The moments after one more run (Welford 1962, Technometrics 4, 419–420)."""
        runs, off = self.runs + 1, score - self.mean
        mean = self.mean + off / runs
        return Moments(runs, mean, self.squares + off * (score - mean))


@dataclass(frozen=True, slots=True)
class HistoryTest:
    """`drop` is the mean over `cases` of history's mean minus the run's score; `p_fall` and `p_rise` are one-sided.

    `noise` is s, the pooled SD of one case between runs. `se` and the interval are None where no noise has been seen:
    then only the p-values, of an exchange test, say anything. Arrays are parallel to `cases`.
    """

    cases: tuple[str, ...]
    differences: NDArray[np.float64]
    counts: NDArray[np.float64]
    drop: float
    p_fall: float
    p_rise: float
    noise: float
    se: float | None
    df: float | None
    low: float | None
    high: float | None


def moments_of(history: Sequence[Sample]) -> dict[str, Moments]:
    """Of each case that was scored in at least one of the runs."""
    found: dict[str, Moments] = {}
    for run in history:
        for case, score in run.scores.items():
            found[case] = found.get(case, Moments()).with_score(score)
    return found


def history_test(
    moments: Mapping[str, Moments], scores: Mapping[str, float], *, least: int = 1, design_effect: float = 1.0
) -> HistoryTest | None:
    """Test a run's `scores` against what was learned; None where no case of it has been seen `least` times.

    With h_i runs of case i and v_i its variance between them (ddof 1): s² = Σ(h_i−1)v_i / Σ(h_i−1),
    SE = √(s²·Σ(1+1/h_i)) / n, and p is Student's t with (Σw_iv_i)²/Σw_iv_i² degrees of freedom, w_i = h_i−1
    (Satterthwaite 1946, Biometrics Bulletin 2, 110–114). `design_effect` multiplies the variance of the mean, see
    there.
    """
    cases = tuple(sorted(case for case in scores if case in moments and moments[case].runs >= least))
    if not cases:
        return None
    learned: NDArray[np.float64] = np.array([moments[case] for case in cases], dtype=np.float64)
    counts, means, squares = learned[:, 0], learned[:, 1], learned[:, 2]
    differences = np.round(means - np.array([scores[case] for case in cases]), _DIGITS)
    n, drop = len(cases), math.fsum(differences) / len(cases)
    squares[squares < 10.0**-_DIGITS] = 0.0
    weights = counts - 1
    total, free = math.fsum(squares), math.fsum(weights)
    if total == 0.0:
        p_fall, p_rise = _exchange(differences, counts)
        return HistoryTest(cases, differences, counts, drop, p_fall, p_rise, 0.0, None, None, None, None)
    noisy = squares > 0
    df = total**2 / math.fsum(squares[noisy] ** 2 / weights[noisy]) / design_effect
    variance = total / free
    se = math.sqrt(design_effect * variance * math.fsum(1 + 1 / counts)) / n
    p_fall, p_rise = float(stdtr(df, -drop / se)), float(stdtr(df, drop / se))
    return HistoryTest(
        cases, differences, counts, drop, p_fall, p_rise, math.sqrt(variance), se, df, *interval(drop, se, df)
    )


def design_effect(history: Sequence[Sample], cases: Collection[str], groups: Mapping[str, str | None]) -> float:
    """By how much cases of one group rising and falling together widen the variance of a run's mean; at least 1.

    With r_it case i's deviation in run t from its mean over the runs: Σ_c Σ_t (Σ_{i∈c} r_it)² / Σ_i Σ_t r_it², the
    cross-products of Miller's eq. 8 over history. 1 where no two cases share a group.
    """
    members: dict[str, list[str]] = {}
    for case in cases:
        group = groups.get(case)
        if group is not None:
            members.setdefault(group, []).append(case)
    shared = [sorted(of) for of in members.values() if len(of) > 1]
    if not shared:
        return 1.0
    moments = moments_of(history)
    apart = math.fsum(moments[case].squares for case in cases if case in moments)
    if apart == 0.0:
        return 1.0
    crosses: list[float] = []
    for of in shared:
        for run in history:
            off = [run.scores[case] - moments[case].mean for case in of if case in run.scores]
            crosses.append(math.fsum(off) ** 2 - math.fsum(r * r for r in off))
    return max(1.0, 1 + math.fsum(crosses) / apart)


def _exchange(differences: NDArray[np.float64], counts: NDArray[np.float64]) -> tuple[float, float]:
    """p for a fall and a rise where all of history was the same, so that no noise is known to measure them by.

    Were nothing changed, a case's odd score could have come in any of its h+1 runs: in this one with probability
    1/(h+1), and p is the probability of a mean drop of at least the observed one, exact over the cases that differ.
    One odd case among many is then no alarm, three are. Many of them are left to the sign-flip test.
    """
    odd = np.flatnonzero(differences)
    if odd.size == 0:
        return 1.0, 1.0
    if odd.size > _EXACT_UP_TO:
        return sign_flip(differences.tolist())
    order = odd[np.lexsort((counts[odd], differences[odd]))]
    sums, chances = np.zeros(1), np.ones(1)
    for difference, count in zip(differences[order], counts[order], strict=True):
        # in another run it lowers that run and with it the mean of what is then history
        sums = np.concatenate([sums + difference, sums - difference / count])
        chances = np.concatenate([chances / (count + 1), chances * count / (count + 1)])
    observed = float(differences[order].sum())
    slack = 1e-9 * float(np.abs(differences[order]).sum())
    fall = float(chances[sums >= observed - slack].sum())
    return min(1.0, fall), min(1.0, float(chances[sums <= observed + slack].sum()))
