"""What was asked in a trace."""

import pytest

from evalops_core.domain.json import Json
from evalops_core.domain.trace import user_text


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([{"role": "user", "content": " Where is it? "}], "Where is it?"),
        ([{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Where?"}], "Where?"),
        ([{"role": "user", "content": "first"}, {"role": "user", "content": "second"}], "first"),
        ([{"role": "user", "content": [{"text": "Where"}, {"type": "text", "text": "is it?"}]}], "Where is it?"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}, "plain"]}], "plain"),
    ],
)
def test_it_is_the_text_of_the_first_message_of_the_user(messages: Json, text: str) -> None:
    assert user_text(messages) == text


@pytest.mark.parametrize(
    "messages",
    [
        None,
        "text",
        {"role": "user", "content": "not in a list"},
        [],
        ["text"],
        [{"role": "system", "content": "Be kind."}],
        [{"role": "user"}],
        [{"role": "user", "content": None}],
        [{"role": "user", "content": "  "}],
        [{"role": "user", "content": [{"type": "image_url"}]}],
        [{"role": "user", "content": ""}, {"role": "user", "content": "a later one is another question"}],
    ],
)
def test_where_the_user_said_nothing_there_is_none(messages: Json) -> None:
    assert user_text(messages) is None


def test_the_last_user_message_is_what_was_asked_where_example_turns_stand_before_it() -> None:
    messages = [
        {"role": "user", "content": "the example"},
        {"role": "assistant", "content": "so"},
        {"role": "user", "content": "the question"},
    ]
    assert user_text(messages, "last") == "the question"
    assert user_text(messages) == "the example"
    assert user_text([{"role": "user", "content": "asked"}, {"role": "user", "content": ""}], "last") is None
