"""The formulas against numbers of Miller 2024 (arXiv 2411.00640), recomputed independently with statsmodels."""

import math

import pytest

from evalops_core.domain.regression.intervals import (
    cases_needed,
    detectable,
    interval,
    minimum_detectable,
    paired_clustered_error,
    paired_error,
    variance_of_difference,
    variance_with_repeats,
)
from evalops_core.domain.score import standard_error

A = [4.0, 5, 3, 4, 5, 2, 4, 3, 5, 4, 4, 5]
B = [4.0, 4, 3, 3, 5, 2, 3, 3, 4, 4, 2, 5]
CLUSTERS = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
FALLS = [a - b for a, b in zip(A, B, strict=True)]


def test_the_paired_error_is_that_of_equation_7() -> None:
    assert paired_error(FALLS) == pytest.approx(0.19462473604038075, abs=1e-15)


def test_the_paired_clustered_error_is_that_of_equation_8() -> None:
    assert paired_clustered_error(FALLS, CLUSTERS) == pytest.approx(0.08333333333333333, abs=1e-15)


def test_clusters_of_one_case_leave_the_error_as_it_is_but_for_the_factor_of_the_equation() -> None:
    alone = paired_clustered_error(FALLS, range(12))
    assert alone == pytest.approx(paired_error(FALLS) * math.sqrt(11 / 12), abs=1e-15)


def test_an_error_of_one_difference_is_refused() -> None:
    with pytest.raises(ValueError, match="two differences"):
        paired_error([0.5])


def test_every_difference_needs_a_cluster() -> None:
    with pytest.raises(ValueError, match="one cluster"):
        paired_clustered_error([0.5, 0.1], ["a"])


def test_a_runs_own_error_is_that_of_equation_4() -> None:
    falls = {str(i): fall for i, fall in enumerate(FALLS)}
    groups: dict[str, str | None] = {str(i): str(cluster) for i, cluster in enumerate(CLUSTERS)}
    assert standard_error(falls, groups) == pytest.approx(0.10050378152592122, abs=1e-15)
    assert standard_error({str(i): a for i, a in enumerate(A)}, {}) == pytest.approx(0.27524094128159016, abs=1e-15)


def test_the_interval_is_students() -> None:
    assert interval(0.5, paired_error(FALLS), 11) == pytest.approx((0.07163384419006091, 0.9283661558099391), abs=1e-9)


def test_969_cases_find_a_drop_of_3_points_in_100() -> None:
    assert cases_needed(0.03, variance=1 / 9) == pytest.approx(968.9974980677887, abs=1e-9)


@pytest.mark.parametrize(("repeats", "expected"), [(1, 0.1327333278739942), (10, 0.0756696392667773)])
def test_repeats_let_198_cases_find_smaller_drops(repeats: int, expected: float) -> None:
    variance = variance_of_difference(1 / 9, 1 / 6, 1 / 6, repeats, repeats)
    assert detectable(198, variance) == pytest.approx(expected, abs=1e-12)
    assert cases_needed(expected, variance) == pytest.approx(198, abs=1e-9)


@pytest.mark.parametrize(("repeats", "factor"), [(1, 1.0), (2, 2 / 3), (4, 0.5), (6, 4 / 9)])
def test_repeats_divide_the_noise_within_a_case_alone(repeats: int, factor: float) -> None:
    once = variance_with_repeats(between=1 / 12, within=1 / 6, repeats=1, n=100)
    assert variance_with_repeats(1 / 12, 1 / 6, repeats, 100) / once == pytest.approx(factor, abs=1e-12)


def test_the_detectable_drop_is_for_one_percent_false_alarms_and_80_percent_power() -> None:
    assert minimum_detectable(0.1) == pytest.approx(0.3168)
