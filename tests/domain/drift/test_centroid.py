"""The geometry of days: what must not matter, and the exact ends of the scale."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from evalops_core.domain.drift.centroid import centroid, cosine_drift, distances

VALUES = st.floats(-100, 100).filter(lambda value: value == 0 or abs(value) > 1e-3)
VECTORS = st.lists(VALUES, min_size=4, max_size=4).filter(lambda v: float(np.linalg.norm(v)) > 1e-2)
SAMPLES = st.lists(VECTORS, min_size=1, max_size=8)


def mean(rows: list[list[float]]) -> NDArray[np.float64] | None:
    try:
        found = centroid(np.array(rows))
    except ValueError:  # they cancel out
        return None
    # where they nearly do, what is left is rounding
    return (
        found if float(np.linalg.norm((np.array(rows).T / np.linalg.norm(rows, axis=1)).mean(axis=1))) > 1e-3 else None
    )


@given(SAMPLES, st.randoms(use_true_random=False))
def test_the_order_of_a_sample_does_not_matter(rows: list[list[float]], random: "np.random.Generator") -> None:
    one = mean(rows)
    random.shuffle(rows)
    other = mean(rows)
    if one is not None and other is not None:
        assert cosine_drift(one, other) == pytest.approx(0, abs=1e-9)


@given(SAMPLES, st.lists(st.floats(1e-3, 1e3), min_size=8, max_size=8))
def test_the_lengths_of_vectors_do_not_matter(rows: list[list[float]], factors: list[float]) -> None:
    one, other = mean(rows), mean([[factor * x for x in row] for row, factor in zip(rows, factors, strict=False)])
    if one is not None and other is not None:
        assert cosine_drift(one, other) == pytest.approx(0, abs=1e-9)


@given(VECTORS, VECTORS)
def test_drift_lies_between_0_and_2_and_is_the_same_from_either_side(one: list[float], other: list[float]) -> None:
    there, back = cosine_drift(np.array(one), np.array(other)), cosine_drift(np.array(other), np.array(one))
    assert 0 <= there <= 2
    assert there == pytest.approx(back, abs=1e-12)


@given(SAMPLES)
def test_identical_days_have_no_drift(rows: list[list[float]]) -> None:
    one, other = mean(rows), mean([list(row) for row in rows])
    if one is not None and other is not None:
        assert cosine_drift(one, other) <= 1e-9


def test_a_right_angle_is_1_and_the_opposite_2() -> None:
    x, y = np.array([1.0, 0.0]), np.array([0.0, 3.0])
    assert cosine_drift(x, y) == pytest.approx(1)
    assert cosine_drift(x, -x) == pytest.approx(2)
    assert distances(np.array([[2.0, 0.0], [0.0, 1.0], [-5.0, 0.0]]), x) == pytest.approx([0, 1, 2])


def test_a_centroid_has_length_1_and_each_prompt_the_same_weight() -> None:
    found = centroid(np.array([[10.0, 0.0], [0.0, 0.1]]))
    assert np.linalg.norm(found) == pytest.approx(1)
    assert found[0] == pytest.approx(found[1])


@pytest.mark.parametrize(
    "rows", [[[0.0, 0.0]], [[1.0, 0.0], [-1.0, 0.0]], [[float("nan"), 1.0]], [[float("inf"), 1.0]]]
)
def test_what_has_no_direction_is_refused(rows: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="direction"):
        centroid(np.array(rows))
    with pytest.raises(ValueError, match="nothing"):
        centroid(np.zeros((0, 2)))
