"""Rule B: two runs over the same cases, nothing known of the noise: the paired sign-flip permutation test.

What belongs here: the test over the differences of the cases. What does not: which runs are compared (assess), noise
learned from history (history).

Were nothing changed, a case's difference could as well have come out with the other sign. So the signs are flipped at
random, all cases of a cluster together, and p is the share of flips whose mean drop is at least the observed one
(Fisher 1935, "The Design of Experiments", § 21). Nothing about the shape of the scores is assumed.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from evalops_core.domain.regression.intervals import interval

RESAMPLES = 9_999
SEED = 20_411
_EXACT_UP_TO = 13  # 2^13 flips are fewer than the resamples
_BLOCK = 64  # clusters whose signs are made, and kept, together
_DIGITS = 9  # differences closer than this are equal: what a constant added to both runs does to the last bits


@dataclass(frozen=True, slots=True)
class PairedTest:
    """`drop` is the mean difference; `p_fall` and `p_rise` are one-sided; `se` is None below two clusters.

    `se` is eq. 8 of Miller 2024 with the small-sample factor √(G/(G−1)) for G clusters, so that it is his eq. 7 where
    each case is a cluster of its own; `low` and `high` are the drop's 95 % interval, with t of G−1 degrees of freedom.
    """

    drop: float
    p_fall: float
    p_rise: float
    n: int
    n_clusters: int
    se: float | None
    low: float | None
    high: float | None


def paired_test(differences: Sequence[float], clusters: Sequence[Hashable] | None = None) -> PairedTest:
    """Test the differences baseline − candidate of cases, on the 1–5 scale, whose clusters are named by `clusters`.

    Where cases share clusters, p is that of the sign flips or of t with G−1 degrees of freedom, whichever is larger.
    The result depends neither on the order of the cases nor on any name. ValueError where there is no difference.
    """
    n = len(differences)
    if n == 0:
        raise ValueError("no case to compare")
    sums, sizes = _by_cluster(differences, clusters)
    # of sorted terms, as the order of cases must not show in the last bits either
    drop = math.fsum(differences) / n
    p_fall, p_rise = sign_flip(sums)
    groups = len(sums)
    if groups < 2:
        return PairedTest(drop, p_fall, p_rise, n, groups, None, None, None)
    spread = math.fsum((total - size * drop) ** 2 for total, size in zip(sums, sizes, strict=True))
    se = math.sqrt(spread * groups / (groups - 1)) / n
    if groups < n and se > 0:
        # Clusters are few, and their sums are skewed as the judge's moods are: both tests have to find it.
        t = drop / se
        p_fall, p_rise = max(p_fall, float(stdtr(groups - 1, -t))), max(p_rise, float(stdtr(groups - 1, t)))
    return PairedTest(drop, p_fall, p_rise, n, groups, se, *interval(drop, se, groups - 1))


def sign_flip(sums: Sequence[float]) -> tuple[float, float]:
    """One-sided p for a fall and for a rise, of the clusters' summed differences (any order).

    Exact over all flips where at most 13 sums are not zero, else (1 + hits)/(1 + 9,999) over resamples that are the
    same at every call. Flips act on sizes alone, which are sorted first: p does not depend on names or order, and
    swapping the two runs swaps the two p. Memory is bounded by 64 clusters × 9,999 flips at a time.
    """
    rounded = np.round(np.asarray(sums, dtype=np.float64), _DIGITS)
    sizes = np.sort(np.abs(rounded[rounded != 0]))[::-1]
    if sizes.size == 0:
        return 1.0, 1.0
    observed, slack = float(rounded.sum()), 1e-9 * float(sizes.sum())
    if sizes.size <= _EXACT_UP_TO:
        flipped = np.zeros(1)
        for size in sizes:
            flipped = np.concatenate([flipped + size, flipped - size])
        return _share(flipped, observed - slack, 0), _share(flipped, -observed - slack, 0)
    flipped = np.zeros(RESAMPLES)
    for block, start in enumerate(range(0, sizes.size, _BLOCK)):
        part = sizes[start : start + _BLOCK]
        flipped += part @ _signs(block)[: part.size]
    return _share(flipped, observed - slack, 1), _share(flipped, -observed - slack, 1)


def _share(flipped: NDArray[np.float64], at_least: float, observed: int) -> float:
    return (int(np.count_nonzero(flipped >= at_least)) + observed) / (flipped.size + observed)


@lru_cache(maxsize=4)  # 20 MB: 256 clusters
def _signs(block: int) -> NDArray[np.float64]:
    """±1 for each cluster of the block (rows) in each flip (columns)."""
    bits = np.random.default_rng([SEED, block]).integers(0, 2, size=(_BLOCK, RESAMPLES), dtype=np.int8)
    return (2 * bits - 1).astype(np.float64)


def _by_cluster(differences: Sequence[float], clusters: Sequence[Hashable] | None) -> tuple[list[float], list[int]]:
    if clusters is None:
        return list(differences), [1] * len(differences)
    members: dict[Hashable, list[float]] = {}
    for difference, cluster in zip(differences, clusters, strict=True):
        members.setdefault(cluster, []).append(difference)
    return [math.fsum(ds) for ds in members.values()], [len(ds) for ds in members.values()]
