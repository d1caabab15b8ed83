"""Rule B's test: exact numbers, and what its p must not depend on."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import norm

from evalops_core.domain.regression.paired import paired_test, sign_flip
from tests.domain.regression.test_intervals import CLUSTERS, FALLS

EIGHTHS = st.integers(-32, 32).map(lambda n: n / 8)


def test_the_toy_data_have_their_exact_p() -> None:
    assert paired_test(FALLS).p_fall == 0.03125


def test_flips_by_cluster_have_their_exact_p() -> None:
    found = paired_test(FALLS, CLUSTERS)
    assert (found.p_fall, found.n, found.n_clusters) == (0.0625, 12, 4)


def test_the_error_of_clusters_has_the_small_sample_factor() -> None:
    assert paired_test(FALLS, CLUSTERS).se == pytest.approx(0.09622504486493767, abs=1e-15)  # as statsmodels corrects
    assert paired_test(FALLS).se == pytest.approx(0.19462473604038075, abs=1e-15)


@given(st.lists(EIGHTHS, min_size=1, max_size=9))
def test_p_of_few_cases_is_that_of_all_flips(falls: list[float]) -> None:
    flips = [
        sum(s * f for s, f in zip(signs, falls, strict=True)) for signs in itertools.product((1, -1), repeat=len(falls))
    ]
    expected = sum(total >= sum(falls) for total in flips) / len(flips)
    assert sign_flip(falls)[0] == pytest.approx(expected, abs=1e-12)


def test_p_of_many_cases_is_near_that_of_the_normal_limit_and_the_same_at_every_call() -> None:
    falls = np.random.default_rng(7).normal(0.05, 0.5, 300).tolist()
    p, _ = sign_flip(falls)
    z = sum(falls) / np.sqrt(np.square(falls).sum())
    assert p == pytest.approx(float(norm.sf(z)), abs=0.015)
    assert sign_flip(falls)[0] == p


def test_p_is_uniform_where_nothing_has_changed() -> None:
    rng = np.random.default_rng(11)
    ps = [sign_flip(rng.normal(0, 1, 30).tolist())[0] for _ in range(1000)]
    assert np.mean(np.array(ps) <= 0.05) == pytest.approx(0.05, abs=0.02)


@given(st.lists(EIGHTHS, min_size=1, max_size=40))
def test_p_does_not_depend_on_the_order_of_cases(falls: list[float]) -> None:
    order = sorted(range(len(falls)), key=lambda i: (falls[i] * 7919) % 13)
    assert paired_test([falls[i] for i in order]) == paired_test(falls)


@given(st.lists(EIGHTHS, min_size=1, max_size=40))
def test_swapping_the_runs_swaps_the_two_p_and_mirrors_the_interval(falls: list[float]) -> None:
    one, other = paired_test(falls), paired_test([-fall for fall in falls])
    assert (one.p_fall, one.p_rise, one.drop) == (other.p_rise, other.p_fall, -other.drop)
    if one.low is not None and other.high is not None:
        assert one.low == pytest.approx(-other.high, abs=1e-12)


@given(st.lists(EIGHTHS, min_size=1, max_size=40), st.lists(st.integers(0, 5), min_size=40, max_size=40))
def test_clusters_are_told_apart_whatever_they_are_called(falls: list[float], clusters: list[int]) -> None:
    of = clusters[: len(falls)]
    assert paired_test(falls, of) == paired_test(falls, [f"source {5 - cluster}" for cluster in of])


def test_with_clusters_both_tests_have_to_find_it() -> None:
    falls = np.random.default_rng(4).normal(0.2, 0.5, 30).tolist()
    clusters = [number // 2 for number in range(30)]
    sums = [falls[at] + falls[at + 1] for at in range(0, 30, 2)]
    test = paired_test(falls, clusters)
    assert test.se is not None
    by_t = float(stats.t.sf(test.drop / test.se, 14))
    assert test.p_fall == pytest.approx(max(sign_flip(sums)[0], by_t))


def test_two_copies_of_every_case_in_one_cluster_prove_no_more_than_one() -> None:
    falls = np.random.default_rng(3).normal(0.2, 0.5, 30).tolist()
    doubled = paired_test([*falls, *falls], [*range(30), *range(30)])
    assert doubled.p_fall >= paired_test(falls).p_fall
    assert paired_test([*falls, *falls]).p_fall < doubled.p_fall


def test_runs_that_are_the_same_have_p_one() -> None:
    same = paired_test([0.0] * 20)
    assert (same.drop, same.p_fall, same.p_rise, same.low, same.high) == (0, 1, 1, 0, 0)


def test_one_case_has_a_drop_and_no_interval() -> None:
    one = paired_test([1.0])
    assert (one.drop, one.p_fall, one.se, one.low, one.high) == (1.0, 0.5, None, None, None)


def test_no_case_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="no case"):
        paired_test([])
