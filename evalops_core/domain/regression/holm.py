"""Many features judged at one time: adjusted p-values.

What belongs here: Holm's procedure over numbers. What does not: which features make up one tick, and what is paged.
"""

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """The adjusted p of each, in the order given (Holm 1979, Scandinavian Journal of Statistics 6, 65–70).

    The j-th smallest of m becomes the largest of (m−i+1)·p_(i) over i ≤ j, at most 1. Rejecting where the adjusted p is
    at most α keeps the chance of any false alarm at α, however the tests depend on each other.
    """
    m, worst = len(p_values), 0.0
    adjusted = [1.0] * m
    for rank, index in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        worst = max(worst, min(1.0, (m - rank) * p_values[index]))
        adjusted[index] = worst
    return adjusted
