import pytest

from evalops_core.domain.chat import Message
from evalops_core.domain.packed_cases import PackedCases
from evalops_core.domain.suite import Case

CASES = (
    Case("plain", {"input": "größe \U0001f600"}, reference="a text", group="one"),
    Case("chat", messages=(Message("system", "Be brief."), Message("user", "Hi")), metadata={"tier": 1}),
    Case("json", {"a": {"b": [1, 2.5, None, True, 10**30]}}, reference={"total": 3, "items": ["x"]}),
)


def test_packed_cases_read_like_the_cases_they_were_made_of() -> None:
    packed = PackedCases(iter(CASES))
    assert tuple(packed) == CASES
    assert packed == CASES
    assert (len(packed), packed[0], packed[-1]) == (3, CASES[0], CASES[2])
    assert CASES[1] in packed


def test_a_slice_is_packed_too_and_may_be_sliced_again() -> None:
    packed = PackedCases(CASES)
    assert tuple(packed[1:]) == CASES[1:]
    assert tuple(packed[1:][1:]) == CASES[2:]
    assert tuple(packed[::-1]) == CASES[::-1]
    assert len(packed[5:]) == 0


def test_a_place_that_is_not_there_is_an_index_error() -> None:
    with pytest.raises(IndexError):
        PackedCases(CASES)[3]
    with pytest.raises(IndexError):
        PackedCases(CASES)[:1][1]


def test_other_cases_or_another_order_are_not_equal() -> None:
    packed = PackedCases(CASES)
    assert packed != CASES[:2]
    assert packed != CASES[::-1]
    assert packed == PackedCases(CASES)
    assert packed != list(CASES)


def test_a_case_that_was_changed_by_whoever_got_it_is_not_changed_for_the_next() -> None:
    packed = PackedCases(CASES)
    fields = packed[0].fields
    assert isinstance(fields, dict)
    fields["input"] = "spoilt"
    assert packed[0] == CASES[0]
