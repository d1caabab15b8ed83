"""Which features deserve a look first.

What belongs here: this order, pure. What does not: how it is shown (page).
"""

from collections.abc import Iterable

from evalops_core.trend.report.facts import FeatureFacts


def worst_first(features: Iterable[FeatureFacts]) -> tuple[FeatureFacts, ...]:
    """An open incident first, then what regressed, then from the furthest fall up; what has no change last, by name."""
    return tuple(sorted(features, key=_rank))


def _rank(feature: FeatureFacts) -> tuple[bool, bool, bool, float, str]:
    row = feature.row
    delta = None if row is None else row.delta
    regressed = row is not None and row.verdict == "regressed"
    return not feature.incidents, not regressed, delta is None, float(delta or 0), feature.name
