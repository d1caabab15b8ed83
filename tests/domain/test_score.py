"""The arithmetic of scores, against formulas computed by hand and against invariants."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalops_core.domain.score import (
    Outcome,
    Score,
    Unscored,
    reduce_repeats,
    standard_error,
    summarise,
    weigh_axes,
)

scores = st.floats(1, 5).map(Score)
outcomes = st.one_of(scores, st.text(min_size=1).map(Unscored))


@pytest.mark.parametrize("value", [0.0, 0.999, 5.001, math.nan, math.inf])
def test_a_score_outside_the_scale_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="between 1 and 5"):
        Score(value)


def test_axes_are_weighed_by_their_share() -> None:
    weights = {("judge", "accuracy"): 0.75, ("judge", "clarity"): 0.25}
    axes: dict[tuple[str, str], Outcome] = {("judge", "accuracy"): Score(5), ("judge", "clarity"): Score(1)}
    assert weigh_axes(axes, weights) == Score(4)


def test_one_counting_axis_without_a_score_leaves_the_response_unscored_with_its_reason() -> None:
    weights = {("judge", "accuracy"): 0.5, ("exact", "exact"): 0.5}
    axes: dict[tuple[str, str], Outcome] = {("judge", "accuracy"): Unscored("no JSON"), ("exact", "exact"): Score(5)}
    assert weigh_axes(axes, weights) == Unscored("judge.accuracy: no JSON")
    assert weigh_axes({("exact", "exact"): Score(5)}, weights) == Unscored("judge.accuracy: not scored yet")


def test_an_axis_of_weight_zero_is_reported_but_does_not_count() -> None:
    weights = {("a", "a"): 1.0, ("b", "b"): 0.0}
    assert weigh_axes({("a", "a"): Score(3), ("b", "b"): Unscored("whatever")}, weights) == Score(3)


def test_an_unscored_repeat_neither_counts_nor_hides_the_others() -> None:
    assert reduce_repeats([Score(2), Unscored("timeout"), Score(4)]) == Score(3)
    assert reduce_repeats([Unscored("timeout"), Unscored("reset")]) == Unscored("timeout")
    assert reduce_repeats([]) == Unscored("no response")


@given(st.dictionaries(st.text(), outcomes, max_size=30))
def test_unscored_cases_never_move_the_mean(cases: dict[str, Outcome]) -> None:
    scored = {case: outcome for case, outcome in cases.items() if isinstance(outcome, Score)}
    whole, part = summarise(cases), summarise(scored)
    assert (whole.mean, whole.se, whole.n) == (part.mean, part.se, part.n)
    assert whole.n + whole.n_unscored == len(cases)


@given(st.dictionaries(st.text(), scores, min_size=2, max_size=30))
def test_a_summary_does_not_depend_on_the_order_of_cases(cases: dict[str, Outcome]) -> None:
    turned = dict(reversed(list(cases.items())))
    assert summarise(cases) == summarise(turned)


def test_no_case_gives_no_mean_and_one_gives_no_error() -> None:
    assert (summarise({}).mean, summarise({}).coverage) == (None, 0.0)
    assert (summarise({"a": Score(3)}).mean, summarise({"a": Score(3)}).se) == (3, None)
    assert summarise({"a": Score(3)}).interval is None


def test_the_standard_error_is_that_of_the_mean_and_clusters_widen_it() -> None:
    values = {"a": 1.0, "b": 2.0, "c": 4.0, "d": 5.0}
    # s² = ((−2)² + (−1)² + 1² + 2²) / 3 = 10/3; SE = √(10/3/4)
    assert standard_error(values, {}) == pytest.approx(math.sqrt(10 / 12))
    groups = {"a": "low", "b": "low", "c": "high", "d": "high"}
    # pairs within a cluster: 2·(−2·−1) + 2·(1·2) = 8, over n² = 16
    assert standard_error(values, groups) == pytest.approx(math.sqrt(10 / 12 + 8 / 16))


@given(st.lists(st.floats(1, 5), min_size=2, max_size=40))
def test_a_cluster_of_one_case_each_changes_nothing(values: list[float]) -> None:
    scored = {str(index): value for index, value in enumerate(values)}
    alone = {case: case for case in scored}
    assert standard_error(scored, alone) == pytest.approx(standard_error(scored, {}), abs=1e-12)


@given(st.lists(st.floats(1, 5), min_size=2, max_size=40))
def test_the_interval_holds_the_mean_and_stays_on_the_scale(values: list[float]) -> None:
    summary = summarise({str(index): Score(value) for index, value in enumerate(values)})
    assert summary.mean is not None
    assert summary.interval is not None
    low, high = summary.interval
    assert 1 <= low <= summary.mean + 1e-9
    assert summary.mean - 1e-9 <= high <= 5
