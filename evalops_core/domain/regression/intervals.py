"""Standard errors and intervals of a difference between two runs, and the smallest difference that one would find.

What belongs here: the formulas over numbers (Miller 2024, "Adding Error Bars to Evals", arXiv 2411.00640; the equation
is named at each). What does not: a single run's error (domain.score), choosing what to compare (paired, history).
"""

import math
from collections.abc import Sequence

from scipy.special import ndtri, stdtrit

Z_ALPHA_01, Z_POWER_80 = 2.326, 0.842


def paired_error(differences: Sequence[float]) -> float:
    """SE of the mean difference over independent cases, √(Σ(d−d̄)²/(n−1)/n) (eq. 7). ValueError below two cases."""
    n = len(differences)
    if n < 2:
        raise ValueError("a standard error needs two differences")
    mean = math.fsum(differences) / n
    return math.sqrt(math.fsum((d - mean) ** 2 for d in differences) / (n - 1) / n)


def paired_clustered_error(differences: Sequence[float], clusters: Sequence[object]) -> float:
    """SE of the mean difference over cases in clusters, (1/n)√(Σ_c(Σ_{i∈c}(d_i−d̄))²) (eq. 8), as printed.

    `clusters` names the cluster of each difference. With every case in a cluster of its own it is `paired_error` times
    √((n−1)/n): the equation divides by n, not n−1. ValueError where the two differ in length or are empty.
    """
    n = len(differences)
    if n == 0 or n != len(clusters):
        raise ValueError("one cluster is needed for each of at least one difference")
    mean = math.fsum(differences) / n
    sums: dict[object, float] = {}
    for difference, cluster in zip(differences, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + difference - mean
    return math.sqrt(math.fsum(total * total for total in sums.values())) / n


def interval(drop: float, se: float, df: float, level: float = 0.95) -> tuple[float, float]:
    """The two-sided interval drop ± t·SE, with Student's t of `df` degrees of freedom."""
    half = float(stdtrit(df, 0.5 + level / 2)) * se
    return drop - half, drop + half


def minimum_detectable(se: float) -> float:
    """The smallest true drop found with 80 % power by a one-sided test at 1 %: (2.326 + 0.842)·SE (after eq. 9)."""
    return (Z_ALPHA_01 + Z_POWER_80) * se


def variance_of_difference(omega2: float, sigma2_a: float, sigma2_b: float, repeats_a: int, repeats_b: int) -> float:
    """The variance of one case's difference, ω² + σ_A²/K_A + σ_B²/K_B (section 5).

    ω² is the variance between cases of the difference of their true scores, σ² the variance within a case of one
    repeat, K the repeats. Divided by n it is the variance of the mean drop.
    """
    return omega2 + sigma2_a / repeats_a + sigma2_b / repeats_b


def variance_with_repeats(between: float, within: float, repeats: int, n: int) -> float:
    """The variance of a run's mean over n cases with K repeats each, (Var x + E σ²/K)/n (section 3.1)."""
    return (between + within / repeats) / n


def cases_needed(delta: float, variance: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """How many cases find a drop of `delta`: (z_{α/2}+z_β)²·variance/δ² (eq. 9), two-sided; round it up.

    `variance` is of one case's difference, see `variance_of_difference`.
    """
    return _z_sum(alpha, power) ** 2 * variance / delta**2


def detectable(n: float, variance: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """The drop that `n` cases find: eq. 9 solved for δ."""
    return _z_sum(alpha, power) * math.sqrt(variance / n)


def _z_sum(alpha: float, power: float) -> float:
    return float(ndtri(1 - alpha / 2) + ndtri(power))
