"""What chance alone does to a feature's drift: the distribution of its drift if days did not matter.

What belongs here: the permutation null and its quantile. What does not: the drift itself (measure).

If today's prompts come from where the baseline days' came from, then which prompt fell on which day is arbitrary: so
the days are shuffled, and the drift is measured each time (Good, "Permutation, Parametric and Bootstrap Tests of
Hypotheses", 3rd ed. 2005, ch. 3). Real days differ by more than that: on weekends, say, other people ask. How much more
is seen in the baseline days themselves, each against the others; the null is stretched by that ratio, as a
quasi-likelihood stretches variances (McCullagh and Nelder, "Generalized Linear Models", 2nd ed. 1989, sec. 4.5).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalops_core.domain.drift.centroid import unit

PERMUTATIONS = 4000
"""At an alpha of 0.005, 19 of them are above the threshold."""
_BLOCK = 1_000_000  # entries of the matrix that deals prompts to days, of some permutations at a time
_LEAST = 1e-6
"""Where all prompts are the same, what is left is rounding, which must be no drift."""
_SEED = 20261125  # the same day gives the same threshold, whoever asks
Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Null:
    """`threshold` is a cosine drift; `dispersion` how many times more the baseline's days differ than chance does, at
    least 1."""

    threshold: float
    dispersion: float


def permutation_null(today: Rows, days: Sequence[Rows], alpha: float, permutations: int = PERMUTATIONS) -> Null:
    """The (1 - alpha) quantile of the drift of `today` (n, d) from `days` if it were one of them.

    ValueError for fewer than two days. Neither the order of rows nor their lengths count.
    """
    if len(days) < 2:
        raise ValueError(f"days are compared with each other, and there is only {len(days)}")
    groups = [np.asarray(unit(rows), np.float32) for rows in (today, *days)]
    sizes = np.array([len(rows) for rows in groups])
    pool = _in_fixed_order(np.concatenate(groups))
    drifts, among = _permuted(pool, sizes, permutations)
    seen = _from_the_others(np.stack([rows.mean(axis=0) for rows in groups[1:]])[None])
    expected = float(among.mean())
    dispersion = max(1.0, float(seen.mean()) / expected) if expected > 0 else 1.0
    rank = min(permutations, math.ceil((1 - alpha) * (permutations + 1)))
    threshold = float(np.sort(drifts)[rank - 1]) * dispersion
    return Null(min(max(threshold, _LEAST), 2.0), dispersion)


def _permuted(pool: Rows, sizes: NDArray[np.int64], permutations: int) -> tuple[Rows, Rows]:
    """For each permutation the drift of the first group from the others, and the mean drift among those."""
    generator = np.random.default_rng(_SEED)
    group_of = np.repeat(np.arange(len(sizes)), sizes)
    drifts: list[Rows] = []
    among: list[Rows] = []
    block = max(1, _BLOCK // (len(sizes) * len(pool)))
    for start in range(0, permutations, block):
        count = min(block, permutations - start)
        shuffled = generator.permuted(np.tile(group_of, (count, 1)), axis=1)
        belongs = (shuffled[:, None, :] == np.arange(len(sizes))[None, :, None]).astype(np.float32)
        sums = (belongs.reshape(-1, len(pool)) @ pool).reshape(count, len(sizes), -1)
        means = sums / sizes[None, :, None].astype(np.float32)
        drifts.append(_drift(means[:, 0], _normal(means[:, 1:]).mean(axis=1)))
        among.append(_from_the_others(means[:, 1:]).mean(axis=1))
    return np.concatenate(drifts), np.concatenate(among)


def _from_the_others(means: Rows) -> Rows:
    """(b, k, d) → (b, k): each group's drift from the mean direction of the other groups."""
    directions = _normal(means)
    others = directions.sum(axis=1, keepdims=True) - directions
    return _drift(directions, others)


def _drift(one: Rows, other: Rows) -> Rows:
    return 1.0 - (_normal(one) * _normal(other)).sum(axis=-1)


def _normal(rows: Rows) -> Rows:
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), np.float32(1e-12))


def _in_fixed_order(pool: Rows) -> Rows:
    """By their values, so that the shuffles meet the same rows whatever order they were read in."""
    keys = np.transpose(pool[:, :8])
    return pool[np.lexsort(keys)]
