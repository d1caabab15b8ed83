"""The JSON object in an answer, wherever the model put it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalops_core.scorers.json_reader import find_object, read_object


@pytest.mark.parametrize(
    "answer",
    [
        '{"a": {"b": 1}}',
        ' \n{"a": {"b": 1}}\n',
        'Sure!\n```json\n{"a": {"b": 1}}\n```\nAnything else?',
        '```\n{"a": {"b": 1}}\n```',
        'The result is {"a": {"b": 1}}. And {"c": 2}.',
        'Use { and } like {this}: {"a": {"b": 1}}',
        'An open { here, it\'s 5" wide. {"a": {"b": 1}}',
        '```python\nprint({"x": y})\n```\nthen {"a": {"b": 1}}',
    ],
)
def test_the_object_is_found(answer: str) -> None:
    assert find_object(answer) == {"a": {"b": 1}}


def test_a_brace_within_a_string_ends_nothing() -> None:
    assert find_object(r'so: {"a": "} \" {", "b": 1} end') == {"a": '} " {', "b": 1}


@pytest.mark.parametrize(
    "answer", ["", "none", "[1]", "3", '{"a": {"b": 1}', '{"a": {"b": 1}, oops}', "{" * 5000, '{"a":' * 100_000]
)
def test_where_there_is_none_none_is_made_up(answer: str) -> None:
    assert find_object(answer) is None


def test_an_object_with_a_key_twice_can_be_refused() -> None:
    assert read_object('{"a": 1, "a": 5}') == {"a": 5}
    assert read_object('{"a": 1, "a": 5}', refuse_doubles=True) is None


@settings(deadline=None)
@given(st.text(alphabet='{}[]":,ab1 \n`\\'))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert find_object(text) is None or isinstance(find_object(text), dict)
