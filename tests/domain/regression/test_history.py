"""Rule C's test against numbers worked out by hand and by scipy, and its edges."""

import math

import numpy as np
import pytest
from scipy.stats import t

from evalops_core.domain.regression.history import Moments, design_effect, history_test, moments_of
from tests.domain.regression.samples import noisy, sample, steady


def test_the_moments_of_a_case_are_those_of_its_runs() -> None:
    moments = moments_of([sample(i, {"a": score}) for i, score in enumerate([3.0, 4.0, 5.0, 4.0])])
    assert moments["a"] == pytest.approx(Moments(4, 4.0, 2.0))


def test_the_test_is_students_with_the_pooled_noise_and_satterthwaites_degrees() -> None:
    runs = [{"a": 4.0, "b": 3.0}, {"a": 4.5, "b": 3.2}, {"a": 4.2, "b": 2.8}, {"a": 4.4, "b": 3.1}, {"b": 3.0}]
    found = history_test(moments_of([sample(i, run) for i, run in enumerate(runs)]), {"a": 3.9, "b": 2.7})
    assert found is not None
    a, b = [4.0, 4.5, 4.2, 4.4], [3.0, 3.2, 2.8, 3.1, 3.0]
    va, vb = np.var(a, ddof=1), np.var(b, ddof=1)
    variance = (3 * va + 4 * vb) / 7
    se = math.sqrt(variance * (1 + 1 / 4 + 1 + 1 / 5)) / 2
    drop = (np.mean(a) - 3.9 + np.mean(b) - 2.7) / 2
    df = (3 * va + 4 * vb) ** 2 / (3 * va**2 + 4 * vb**2)
    assert (found.drop, found.se, found.df) == pytest.approx((drop, se, df))
    assert found.p_fall == pytest.approx(float(t.sf(drop / se, df)))
    assert (found.low, found.high) == pytest.approx(t.interval(0.95, df, drop, se))


def test_a_case_without_history_is_left_out() -> None:
    found = history_test(moments_of(steady(5, cases=12)), dict(noisy(9, cases=12).scores) | {"new": 1.0})
    assert found is not None
    assert found.cases == tuple(sorted(f"c{i}" for i in range(12)))


def test_where_no_case_has_a_history_there_is_nothing_to_test() -> None:
    assert history_test(moments_of(steady(5)), {"new": 1.0}) is None


def test_without_noise_the_same_again_is_no_fall() -> None:
    same = history_test(moments_of([sample(i, [4.0] * 20) for i in range(5)]), sample(9, [4.0] * 20).scores)
    assert same is not None
    assert (same.drop, same.p_fall, same.p_rise, same.se) == (0.0, 1.0, 1.0, None)


@pytest.mark.parametrize(("odd", "expected"), [(1, 1 / 6), (2, 1 / 36), (3, 1 / 216)])
def test_without_noise_p_is_the_chance_that_all_odd_cases_came_in_this_run(odd: int, expected: float) -> None:
    moments = moments_of([sample(i, [4.0] * 20) for i in range(5)])
    found = history_test(moments, sample(9, [3.0] * odd + [4.0] * (20 - odd)).scores)
    assert found is not None
    assert found.p_fall == pytest.approx(expected)
    risen = history_test(moments, sample(9, [5.0] * odd + [4.0] * (20 - odd)).scores)
    assert risen is not None
    assert risen.p_rise == pytest.approx(expected)


def test_without_noise_many_odd_cases_are_left_to_the_sign_flips() -> None:
    moments = moments_of([sample(i, [4.0] * 20) for i in range(5)])
    found = history_test(moments, sample(9, [3.0] * 20).scores)
    assert found is not None
    assert found.p_fall <= 0.001


def test_cases_that_move_together_widen_the_error() -> None:
    alone = steady(10, cases=20)
    twins = [sample(i, {**run.scores, **{f"{c}x": s for c, s in run.scores.items()}}) for i, run in enumerate(alone)]
    groups: dict[str, str | None] = {case: case.rstrip("x") for case in twins[0].scores}
    assert design_effect(twins, groups, groups) == pytest.approx(2.0)
    assert design_effect(twins, groups, {}) == 1.0
    one = history_test(moments_of(alone), noisy(77, cases=20).scores)
    today = dict(noisy(77, cases=20).scores)
    both = history_test(moments_of(twins), {**today, **{f"{c}x": s for c, s in today.items()}}, design_effect=2.0)
    assert one is not None
    assert both is not None
    assert both.se == pytest.approx(one.se)


def test_false_alarms_are_as_rare_as_they_claim_and_a_drop_of_a_third_of_the_noise_is_found() -> None:
    falls = {0.0: 0, 0.2: 0}
    for drop in falls:
        for trial in range(200):
            runs = [noisy(1000 * trial + i, cases=50, noise=0.6) for i in range(10)]
            found = history_test(moments_of(runs), noisy(1000 * trial + 99, cases=50, noise=0.6, drop=drop).scores)
            assert found is not None
            falls[drop] += found.p_fall <= 0.05
    assert falls[0.0] <= 22
    assert falls[0.2] >= 140
