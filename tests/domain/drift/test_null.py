"""The permutation null: its level on real chance, and what it must not depend on."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from evalops_core.domain.drift.centroid import centroid, cosine_drift
from evalops_core.domain.drift.null import permutation_null

Rows = NDArray[np.float32]
MEAN = np.array([2.0, *[0.0] * 15])


def drawn(generator: np.random.Generator, n: int, moved: float = 0.0) -> Rows:
    rows = generator.normal(size=(n, 16)) + MEAN
    rows[:, 1] += moved
    return rows.astype(np.float32)


def drift(today: Rows, days: Sequence[Rows]) -> float:
    return cosine_drift(centroid(today), centroid(np.stack([centroid(day) for day in days])))


def test_chance_exceeds_the_threshold_as_often_as_alpha_says() -> None:
    generator = np.random.default_rng(7)
    exceeded = 0
    for _ in range(300):
        days = [drawn(generator, 30) for _ in range(5)]
        today = drawn(generator, 30)
        exceeded += drift(today, days) > permutation_null(today, days, 0.1, permutations=200).threshold
    assert 8 <= exceeded <= 42  # 30 are expected; three standard deviations, and the stretch, which never shrinks it


def test_a_day_that_has_moved_exceeds_it() -> None:
    generator = np.random.default_rng(8)
    days = [drawn(generator, 30) for _ in range(7)]
    moved = drawn(generator, 30, moved=1.5)
    assert drift(moved, days) > permutation_null(moved, days, 0.005).threshold


def test_days_that_differ_by_themselves_stretch_it() -> None:
    """As weekends do: each day has a direction of its own."""
    generator = np.random.default_rng(9)
    restless = [drawn(generator, 30, moved=float(generator.normal())) for _ in range(7)]
    calm = [drawn(generator, 30) for _ in range(7)]
    one, other = (permutation_null(drawn(generator, 30), days, 0.005) for days in (restless, calm))
    assert one.dispersion > 2
    assert 1 <= other.dispersion < 1.3
    assert one.threshold > 2 * other.threshold


def test_neither_order_nor_length_of_the_vectors_matters() -> None:
    generator = np.random.default_rng(10)
    days = [drawn(generator, 12) for _ in range(3)]
    today = drawn(generator, 12)
    found = permutation_null(today, days, 0.05, permutations=100)
    shuffled = [np.asarray(generator.permutation(day) * np.float32(3), np.float32) for day in days]
    again = permutation_null(today[::-1], shuffled, 0.05, permutations=100)
    assert again.threshold == pytest.approx(found.threshold, abs=1e-5)
    assert again.dispersion == pytest.approx(found.dispersion, abs=1e-5)


def test_samples_of_different_sizes_are_compared_as_they_are() -> None:
    """A small day drifts more by chance alone, so it has more room."""
    generator = np.random.default_rng(11)
    days = [drawn(generator, 40) for _ in range(4)]
    small, large = drawn(generator, 10), drawn(generator, 40)
    assert permutation_null(small, days, 0.01).threshold > 2 * permutation_null(large, days, 0.01).threshold


def test_one_day_is_no_baseline() -> None:
    generator = np.random.default_rng(12)
    with pytest.raises(ValueError, match="only 1"):
        permutation_null(drawn(generator, 5), [drawn(generator, 5)], 0.01)


@pytest.mark.parametrize("seed", range(12))
def test_prompts_that_are_all_the_same_never_exceed_it(seed: int) -> None:
    generator = np.random.default_rng(seed)
    one = generator.normal(size=(1, 384)).astype(np.float32)
    days = [one.repeat(size, axis=0) for size in (10, 13, 50)]
    today = one.repeat(7, axis=0)
    assert drift(today, days) < permutation_null(today, days, 0.005, permutations=100).threshold
