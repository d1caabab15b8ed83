"""Equal or not, as a person would say."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalops_core.domain.json import Json
from evalops_core.domain.scorer import ExactSpec
from tests.scorers.scripted import item_of, one, reason, score, value

SPEC = ExactSpec(name="same")


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("Positive", "positive"),
        ("  **Positive**.\n", "positive"),
        ("`positive`", "positive"),
        ("STRASSE", "Straße"),
        ("ｆｕｌｌ ｗｉｄｔｈ", "full width"),
        ("cafe\u0301", "café"),
        ("well-known", "well known"),
        ("U.S.A.", "USA"),
        ("b", ["a", "b"]),
        ("−5", "-5"),
        ("42", 42),
        ("42.0", 42),
        ("3.50", 3.5),
        ("true", True),
        ("", ""),
    ],
)
def test_equal_in_meaning_is_a_five(answer: str, reference: Json) -> None:
    assert value(one(SPEC, answer, reference)) == 5.0


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("negative", "positive"),
        ("", "positive"),
        ("35", "3.5"),
        ("5", "-5"),
        ("5", ".5"),
        ("?", "!"),
        ("...", ""),
        ("c", ["a", "b"]),
        ("43", 42),
        ("1", True),
        ("nan", 1),
    ],
)
def test_different_in_meaning_is_a_one_and_says_what_was_expected(answer: str, reference: Json) -> None:
    (scored,) = score(SPEC, item_of(answer, reference))
    assert value(scored.outcome) == 1.0
    assert (scored.rationale or "").startswith("expected")


def test_case_and_punctuation_count_where_they_are_not_ignored() -> None:
    strict = ExactSpec(name="same", ignore_case=False, ignore_punctuation=False)
    assert value(one(strict, "Yes", "yes")) == 1.0
    assert value(one(strict, "yes.", "yes")) == 1.0
    assert value(one(strict, " yes ", "yes")) == 5.0


@pytest.mark.parametrize("reference", [None, [], {"a": 1}, [["a"]], [None]])
def test_a_reference_that_is_no_text_leaves_it_unscored(reference: Json) -> None:
    assert "reference" in reason(one(SPEC, "a", reference))


@settings(deadline=None)
@given(text=st.text(), ignore_case=st.booleans(), ignore_punctuation=st.booleans())
def test_every_text_equals_itself(text: str, ignore_case: bool, ignore_punctuation: bool) -> None:
    spec = ExactSpec(name="same", ignore_case=ignore_case, ignore_punctuation=ignore_punctuation)
    assert value(one(spec, text, text)) == 5.0
