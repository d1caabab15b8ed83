import pytest

from evalops_core.domain.chat import Message
from evalops_core.domain.suite import Case
from evalops_core.suites.spooled_cases import SpooledCases

CASES = (
    Case("plain", {"input": "größe \U0001f600"}, reference="a text", group="one"),
    Case("chat", messages=(Message("system", "Be brief."), Message("user", "Hi")), metadata={"tier": 1}),
    Case("json", {"a": {"b": [1, 2.5, None, True, 10**30]}}, reference={"total": 3, "items": ["x"]}),
)


def test_spooled_cases_read_like_the_cases_they_were_made_of() -> None:
    spooled = SpooledCases(iter(CASES))
    assert tuple(spooled) == CASES
    assert spooled == CASES
    assert (len(spooled), spooled[0], spooled[-1]) == (3, CASES[0], CASES[2])
    assert CASES[1] in spooled


def test_a_slice_is_spooled_too_and_may_be_sliced_again() -> None:
    spooled = SpooledCases(CASES)
    assert tuple(spooled[1:]) == CASES[1:]
    assert tuple(spooled[1:][1:]) == CASES[2:]
    assert tuple(spooled[::-1]) == CASES[::-1]
    assert len(spooled[5:]) == 0


def test_a_place_that_is_not_there_is_an_index_error() -> None:
    with pytest.raises(IndexError):
        SpooledCases(CASES)[3]
    with pytest.raises(IndexError):
        SpooledCases(CASES)[:1][1]


def test_other_cases_or_another_order_are_not_equal() -> None:
    spooled = SpooledCases(CASES)
    assert spooled != CASES[:2]
    assert spooled != CASES[::-1]
    assert spooled == SpooledCases(CASES)
    assert spooled != list(CASES)


def test_a_case_that_was_changed_by_whoever_got_it_is_not_changed_for_the_next() -> None:
    spooled = SpooledCases(CASES)
    fields = spooled[0].fields
    assert isinstance(fields, dict)
    fields["input"] = "spoilt"
    assert spooled[0] == CASES[0]
