"""Which scorers are in force, and what share of a case's score each axis has."""

import pytest

from evalops_core.domain.scorer import (
    Axis,
    ContainsSpec,
    ExactSpec,
    JsonFieldsSpec,
    JudgeSpec,
    Rubric,
    axes_of,
    axis_weights,
    in_force,
)

RUBRIC = Rubric((Axis("accuracy", "is right", 3), Axis("clarity", "is clear", 1)))
JUDGE = JudgeSpec(
    name="judge",
    weight=2,
    rubric=RUBRIC,
    fallback=(ExactSpec(name="exact", weight=3), ContainsSpec(name="contains", weight=1)),
)
FIELDS = JsonFieldsSpec(name="fields", weight=2, fields=("city", "date"))


def test_with_a_judge_the_rubric_counts_and_its_fallbacks_do_not_run() -> None:
    assert in_force([JUDGE, FIELDS], judge_configured=True) == (JUDGE, FIELDS)


def test_without_a_judge_the_fallbacks_share_its_weight() -> None:
    chosen = in_force([JUDGE, FIELDS], judge_configured=False)
    assert [(spec.name, spec.weight) for spec in chosen] == [("exact", 1.5), ("contains", 0.5), ("fields", 2)]


def test_a_judge_without_fallback_stays_for_the_caller_to_refuse() -> None:
    bare = JudgeSpec(name="judge", rubric=RUBRIC)
    assert in_force([bare], judge_configured=False) == (bare,)


def test_axis_weights_are_shares_of_one() -> None:
    weights = axis_weights([JUDGE, FIELDS])
    assert weights == {
        ("judge", "accuracy"): 0.375,
        ("judge", "clarity"): 0.125,
        ("fields", "city"): 0.25,
        ("fields", "date"): 0.25,
    }
    assert sum(weights.values()) == pytest.approx(1)


def test_weights_that_are_all_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="weight 0"):
        axis_weights([ExactSpec(name="exact", weight=0)])


def test_a_scorer_of_one_axis_names_it_after_itself() -> None:
    assert [axis.name for axis in axes_of(ExactSpec(name="label"))] == ["label"]
