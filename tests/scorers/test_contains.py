"""How much of what is wanted stands in the answer."""

import pytest

from evalops_core.domain.json import Json
from evalops_core.domain.scorer import ContainsSpec
from tests.scorers.scripted import item_of, one, reason, score, value


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("Red, green and blue.", 5.0), ("red and GREEN", 1 + 4 * 2 / 3), ("blue", 1 + 4 / 3), ("pink", 1.0), ("", 1.0)],
)
def test_the_score_is_the_share_of_the_wanted(answer: str, expected: float) -> None:
    spec = ContainsSpec(name="colours", values=("red", "green", "blue"))
    assert value(one(spec, answer)) == pytest.approx(expected)


def test_the_reference_is_wanted_where_no_values_are_given() -> None:
    spec = ContainsSpec(name="colours")
    assert value(one(spec, "red", "red")) == 5.0
    assert value(one(spec, "red", ["red", "green"])) == 3.0


def test_any_one_of_them_is_enough_in_mode_any() -> None:
    spec = ContainsSpec(name="colours", mode="any")
    assert value(one(spec, "green", ["red", "green"])) == 5.0
    assert value(one(spec, "pink", ["red", "green"])) == 1.0


def test_one_forbidden_string_makes_it_a_one_and_is_named() -> None:
    spec = ContainsSpec(name="colours", values=("red",), forbidden=("As an AI",))
    (scored,) = score(spec, item_of("as an ai, I like red"))
    assert (value(scored.outcome), scored.rationale) == (1.0, "has the forbidden “As an AI”")


def test_a_scorer_that_only_forbids_needs_no_reference_but_an_answer() -> None:
    spec = ContainsSpec(name="polite", forbidden=("damn",))
    assert value(one(spec, "thank you")) == 5.0
    assert value(one(spec, " ")) == 1.0


def test_case_counts_where_it_is_not_ignored() -> None:
    spec = ContainsSpec(name="colours", values=("Red",), ignore_case=False)
    assert value(one(spec, "red")) == 1.0


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("It is 42.", 5.0), ("142", 1.0), ("420", 1.0), ("42.5", 1.0), ("3.42", 1.0), ("142, 42", 5.0), ("42%", 5.0)],
)
def test_a_number_is_not_found_within_another(answer: str, expected: float) -> None:
    assert value(one(ContainsSpec(name="number"), answer, 42)) == expected


@pytest.mark.parametrize("reference", [None, {"a": 1}, "", ["a", " "]])
def test_a_reference_that_wants_nothing_leaves_it_unscored(reference: Json) -> None:
    assert "reference" in reason(one(ContainsSpec(name="x"), "a", reference))
