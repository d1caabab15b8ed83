"""Records in OpenAI's shape, and rows of the table."""

from datetime import datetime, timezone
from typing import Any

import pytest

from evalops_core.traces.call import LoggedCall
from tests.traces.reading import ASKED, NOON, problem, read

SECONDS = int(NOON.timestamp())
CHAT: dict[str, Any] = {"messages": ASKED, "created_at": "2026-11-24T12:00:00Z"}


def test_a_row_of_the_table_is_read_as_it_is() -> None:
    row = {"id": "a", "feature": "orders", "created_at": "2026-11-24T12:00:00Z", "messages": ASKED, "model": "m"}
    whole = LoggedCall(id="a", feature="orders", created_at=NOON, messages=ASKED, model="m", error=None)
    assert read(row) == whole
    assert read(row | {"error": "timeout"}).error == "timeout"
    assert read(row | {"id": 17}).id == "17"


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-24T12:00:00Z",
        "2026-11-24T12:00",
        "2026-11-24 12:00:00",
        "2026-11-24 12:00:00+00",
        "2026-11-24T13:00:00.000000000+01:00",
        "2026-11-24T06:30:00-0530",
        SECONDS,
        float(SECONDS),
    ],
)
def test_a_time_is_iso_8601_or_seconds_and_without_an_offset_it_is_utc(written: str | float) -> None:
    found = read({"messages": ASKED, "created_at": written}).created_at
    assert (found, found.utcoffset()) == (NOON, timezone.utc.utcoffset(None))


def test_fractions_of_a_second_are_kept_to_the_microsecond() -> None:
    assert read(CHAT | {"created_at": "2026-11-24T12:00:00.123456789Z"}).created_at.microsecond == 123456
    assert read(CHAT | {"created_at": "2026-11-24T12:00:00.5Z"}).created_at.microsecond == 500000
    assert read(CHAT | {"created_at": SECONDS + 0.25}).created_at.microsecond == 250000


@pytest.mark.parametrize("written", ["secret", "2026-11-24", "2026-13-01T00:00", "24.11.2026", -5, 1e300, True, [1]])
def test_another_time_is_refused_without_showing_it(written: Any) -> None:
    said = problem(CHAT | {"created_at": written})
    assert said.startswith("expected `created_at` to be a date and time in ISO 8601 or seconds since 1970; found ")


@pytest.mark.parametrize("empty", [{}, {"created_at": None}, {"created": 0, "timestamp": ""}])
def test_without_a_time_it_is_said_where_one_was_looked_for(empty: dict[str, Any]) -> None:
    assert problem({"messages": ASKED, **empty}) == (
        "expected the time of the call as one of created_at, created, timestamp, start_time, time; found none of them"
    )


def test_a_logged_request_is_read_together_with_its_response() -> None:
    record = {
        "request": {"model": "gpt", "messages": ASKED, "metadata": {"feature": "orders"}, "temperature": 0},
        "response": {"id": "chatcmpl-1", "created": SECONDS, "model": "gpt-2026-01-01", "choices": []},
    }
    assert read(record) == LoggedCall(
        id="chatcmpl-1", feature="orders", created_at=NOON, messages=ASKED, model="gpt-2026-01-01", error=None
    )
    assert read(record | {"id": "mine", "feature": "returns"}).id == "mine"
    assert read(record | {"id": "mine", "feature": "returns"}).feature == "returns"


def test_a_request_that_failed_has_an_error_and_a_time_of_its_own() -> None:
    request = {"request": {"model": "gpt", "messages": ASKED}, "timestamp": SECONDS}
    for error, said in [
        ("timeout", "timeout"),
        ({"message": "too many", "type": "rate_limit"}, "too many"),
        ({"message": None, "code": "overloaded"}, "overloaded"),
        ({"odd": 1}, "error"),
        (500, "500"),
        (True, "error"),
    ]:
        assert read(request | {"error": error}).error == said
        assert read(request | {"response": {"error": error}}).error == said
    assert read(request | {"response": {"status_code": 429, "body": {}}}).error == "status 429"
    for nothing in (None, "", False, {}, []):
        assert read(request | {"error": nothing}).error is None


def test_a_stored_chat_completion_is_read() -> None:
    stored = {
        "id": "chatcmpl-7",
        "object": "chat.completion",
        "created": SECONDS,
        "model": "gpt",
        "messages": ASKED,
        "metadata": {"feature": "orders"},
    }
    call = read(stored)
    assert (call.id, call.feature, call.created_at, call.model) == ("chatcmpl-7", "orders", NOON, "gpt")


def test_a_line_of_a_batch_has_no_id_for_its_own_is_unique_in_that_batch_only() -> None:
    line = {
        "custom_id": "request-1",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "gpt", "messages": ASKED},
        "created_at": SECONDS,
    }
    call = read(line)
    assert (call.id, call.model, call.messages) == (None, "gpt", ASKED)
    del line["created_at"]
    assert "found none of them" in problem(line)


def test_the_responses_api_s_input_becomes_messages() -> None:
    base = {"id": "resp_1", "created_at": SECONDS, "model": "gpt"}
    assert read(base | {"input": "Where?"}).messages == [{"role": "user", "content": "Where?"}]
    parts = [{"type": "input_text", "text": "Where?"}, {"type": "input_image", "image_url": "x"}]
    given = [
        {"role": "developer", "content": "Be kind."},
        {"type": "message", "role": "user", "content": parts},
        {"type": "reasoning", "summary": []},
        {"type": "function_call", "call_id": "c", "name": "find", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "it"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Here."}]},
        {"type": "input_text", "text": "Thanks"},
    ]
    call = read({"request": {"input": given, "instructions": "Be brief."}, "response": base})
    assert call.messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "Where?"}, {"type": "input_image", "image_url": "x"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "find", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "it"},
        {"role": "assistant", "content": [{"type": "text", "text": "Here."}]},
        {"role": "user", "content": "Thanks"},
    ]
    assert call.created_at == datetime(2026, 11, 24, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"messages": "secret"}, "expected `messages` to be a list of messages; found text"),
        ({"messages": []}, "expected `messages` to be a list of messages; found an empty one"),
        ({"messages": None}, "expected `messages` to be a list of messages; found null"),
        ({"messages": [*ASKED, "secret"]}, "expected message 2 of `messages` to be an object; found text"),
        (
            {"messages": [{"content": "secret"}]},
            "expected message 1 of `messages` to have a role like user; found none",
        ),
        (
            {"messages": [{"role": "my secret\x00"}]},
            "expected message 1 of `messages` to have a role like user; found another word",
        ),
        ({"input": 3}, "expected `input` to be text or a list of messages; found a number"),
        ({"input": [{"content": "secret"}]}, "expected message 1 of `input` to have a role like user; found none"),
    ],
)
def test_what_are_no_messages_is_said_without_their_texts(given: dict[str, Any], found: str) -> None:
    assert problem({"created": SECONDS, **given}) == found
