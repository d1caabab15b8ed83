"""Spans of OpenTelemetry: exported in OTLP, printed by an SDK, with messages in every way they were ever recorded."""

import json
from typing import Any

import pytest

from evalops_core.traces.call import LoggedCall
from evalops_core.traces.lines import calls_of_line
from tests.traces.reading import ASKED, NOON, calls, problem, read

NANOSECONDS = str(int(NOON.timestamp()) * 10**9 + 999)
TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"
PARTS = [{"role": "user", "parts": [{"type": "text", "content": "Where is my order?"}]}]
CHAT: dict[str, Any] = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt"}


def typed(value: Any) -> dict[str, Any]:
    """A value as OTLP writes it."""
    if isinstance(value, dict):
        return {"kvlistValue": {"values": attributes(value)}}
    if isinstance(value, list):
        return {"arrayValue": {"values": [typed(item) for item in value]}}
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}


def attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": typed(value)} for key, value in values.items()]


def span(values: dict[str, Any], **more: Any) -> dict[str, Any]:
    head = {"traceId": TRACE.upper(), "spanId": SPAN, "name": "chat gpt", "startTimeUnixNano": NANOSECONDS}
    return head | {"attributes": attributes(values), "status": {}} | more


def export(*spans: dict[str, Any], resource: dict[str, Any] | None = None) -> dict[str, Any]:
    about = {"attributes": attributes({"service.name": "shop", **(resource or {})})}
    return {"resourceSpans": [{"resource": about, "scopeSpans": [{"scope": {}, "spans": list(spans)}]}]}


def printed(values: dict[str, Any], **more: Any) -> dict[str, Any]:
    """As an SDK's console exporter prints a span."""
    return {
        "name": "chat gpt",
        "context": {"trace_id": f"0x{TRACE}", "span_id": f"0x{SPAN}", "trace_state": "[]"},
        "kind": "SpanKind.CLIENT",
        "start_time": "2026-11-24T12:00:00.000000Z",
        "status": {"status_code": "UNSET"},
        "attributes": values,
        "events": [],
        "resource": {"attributes": {"service.name": "shop"}},
    } | more


def test_an_exported_span_and_the_same_span_printed_are_the_same_call() -> None:
    values = {**CHAT, "gen_ai.response.model": "gpt-2026", "gen_ai.input.messages": json.dumps(PARTS)}
    call = read(export(span(values | {"evalops.feature": "orders"})))
    assert call == LoggedCall(
        id=f"{TRACE}-{SPAN}", feature="orders", created_at=NOON, messages=ASKED, model="gpt-2026", error=None
    )
    assert read(printed(values | {"evalops.feature": "orders"})) == call


def test_the_feature_may_be_the_whole_service_s() -> None:
    values = CHAT | {"gen_ai.input.messages": PARTS}
    assert read(export(span(values), resource={"evalops.feature": "orders"})).feature == "orders"
    own = values | {"evalops.feature": "returns"}
    assert read(export(span(own), resource={"evalops.feature": "orders"})).feature == "returns"
    about = {"attributes": {"evalops.feature": "orders"}}
    assert read(printed(values, resource=about)).feature == "orders"
    assert read(printed(values)).feature is None


def test_a_line_has_many_spans_and_those_that_call_no_model_are_none() -> None:
    line = export(
        span(CHAT | {"gen_ai.input.messages": PARTS}, spanId="01"),
        span({"http.request.method": "GET"}),
        span({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "find"}),
        span({"gen_ai.operation.name": "embeddings"}),
        span({"gen_ai.operation.name": "invoke_agent", "gen_ai.input.messages": PARTS}),
        span(CHAT | {"gen_ai.input.messages": PARTS}, spanId="02"),
    )
    assert [call.id for call in calls(line)] == [f"{TRACE}-01", f"{TRACE}-02"]
    assert calls(printed({"http.request.method": "GET"})) == []
    assert calls({"resourceSpans": []}) == []


def test_a_span_that_cannot_be_used_is_named_and_the_others_are_read() -> None:
    good = span(CHAT | {"gen_ai.input.messages": PARTS})
    one, bad, other = calls_of_line(json.dumps(export(good, span(CHAT), good)))
    assert isinstance(one, LoggedCall)
    assert isinstance(other, LoggedCall)
    assert str(bad) == (
        "span 2 of the line: expected the messages in gen_ai.input.messages, gen_ai.prompt or events of the span; "
        "found none, switch on that the instrumentation captures message content"
    )


@pytest.mark.parametrize("form", [lambda value: value, json.dumps], ids=["structured", "as JSON text"])  # pyright: ignore[reportUnknownLambdaType]  # whatever a test gives
def test_parts_become_contents_of_openai_s_form(form: Any) -> None:
    given = [
        {"role": "user", "parts": [{"type": "text", "content": "What is"}, {"type": "blob", "content": "AAAA"}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "c", "name": "find", "arguments": {"x": "1"}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c", "response": {"found": "2"}}]},
        {"role": "user", "parts": []},
        {"role": "user", "content": "in OpenAI's form already"},
    ]
    system = [{"type": "text", "content": "Be kind."}]
    values = CHAT | {"gen_ai.system_instructions": form(system), "gen_ai.input.messages": form(given)}
    function = {"name": "find", "arguments": '{"x":"1"}'}
    wanted = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "What is"}, {"type": "blob"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "c", "content": '{"found":"2"}'},
        {"role": "user", "content": None},
        {"role": "user", "content": "in OpenAI's form already"},
    ]
    assert read(export(span(values))).messages == wanted
    assert read(printed(values)).messages == wanted


@pytest.mark.parametrize(
    ("values", "messages"),
    [
        ({"gen_ai.prompt": json.dumps(ASKED)}, ASKED),
        ({"gen_ai.prompt": "Where is my order?"}, ASKED),
        ({"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "Where is my order?"}, ASKED),
        (
            {f"gen_ai.prompt.{number}.content": str(number) for number in (10, 2)},
            [{"role": "user", "content": "2"}, {"role": "user", "content": "10"}],
        ),
    ],
)
def test_the_older_attributes_are_read(values: dict[str, Any], messages: Any) -> None:
    assert read(export(span(CHAT | values))).messages == messages
    assert read(printed(values)).messages == messages


def event(name: str, **values: Any) -> dict[str, Any]:
    return {"name": name, "timestamp": "2026-11-24T12:00:00Z", "attributes": values}


@pytest.mark.parametrize(
    ("events", "messages"),
    [
        ([event("gen_ai.user.message", content="Where is my order?"), event("gen_ai.choice", content="x")], ASKED),
        (
            [
                event("gen_ai.system.message", content="Be kind."),
                event("gen_ai.user.message", **{"gen_ai.event.content": json.dumps(ASKED[0])}),
            ],
            [{"role": "system", "content": "Be kind."}, *ASKED],
        ),
        ([event("gen_ai.content.prompt", **{"gen_ai.prompt": json.dumps(ASKED)})], ASKED),
        (
            [event("gen_ai.client.inference.operation.details", **{"gen_ai.input.messages": json.dumps(PARTS)})],
            ASKED,
        ),
    ],
)
def test_messages_are_read_from_events(events: list[dict[str, Any]], messages: Any) -> None:
    assert read(printed(CHAT, events=events)).messages == messages
    exported = [item | {"attributes": attributes(item["attributes"])} for item in events]
    assert read(export(span(CHAT, events=exported))).messages == messages


@pytest.mark.parametrize(
    ("more", "status", "error"),
    [
        ({}, {}, None),
        ({}, {"code": 1}, None),
        ({"error.type": "timeout"}, {"code": 2, "message": "secret"}, "timeout"),
        ({}, {"code": 2, "message": "connection refused"}, "connection refused"),
        ({}, {"code": "STATUS_CODE_ERROR"}, "error"),
        ({}, {"status_code": "ERROR", "description": "refused"}, "refused"),
        ({}, {"status_code": "OK"}, None),
    ],
)
def test_a_call_that_failed_has_an_error(more: dict[str, Any], status: dict[str, Any], error: str | None) -> None:
    values = CHAT | more | {"gen_ai.input.messages": PARTS}
    assert read(export(span(values, status=status))).error == error
    assert read(printed(values, status=status)).error == error


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (
            {"gen_ai.input.messages": '[{"role": "user", "parts": [{"cont'},
            "perhaps cut off by a limit of the exporter's",
        ),
        ({"gen_ai.input.messages": [{"role": "user", "parts": "secret"}]}, "expected the `parts` of a message to be a"),
        ({"gen_ai.input.messages": []}, "expected `gen_ai.input.messages` to be a list of messages; found an empty"),
        ({"gen_ai.input.messages": ["secret"]}, "expected message 1 of `gen_ai.input.messages` to be an object"),
        ({"gen_ai.prompt": '{"secret": 1}'}, "expected `gen_ai.prompt` to be a list of messages; found an object"),
    ],
)
def test_messages_that_cannot_be_read_are_told_without_their_texts(values: dict[str, Any], reason: str) -> None:
    assert reason in problem(printed(CHAT | values))
    assert reason in problem(export(span(CHAT | values)))


def test_a_span_without_a_start_is_told_where_one_was_looked_for() -> None:
    values = CHAT | {"gen_ai.input.messages": PARTS}
    for start in (None, "0", 0):
        assert "startTimeUnixNano or one of created_at" in problem(export(span(values, startTimeUnixNano=start)))
    assert "to be nanoseconds since 1970" in problem(export(span(values, startTimeUnixNano="secret")))
    assert "found none of them" in problem(printed(values, start_time=None))


def test_ids_that_are_no_hexadecimal_digits_stay_as_they_are_and_half_of_one_is_none() -> None:
    values = CHAT | {"gen_ai.input.messages": PARTS}
    assert read(export(span(values, traceId="W47/94gDgQPSabYzgT/GDA==", spanId="7uGbfsPBsXQ="))).id == (
        "W47/94gDgQPSabYzgT/GDA==-7uGbfsPBsXQ="
    )
    assert read(export(span(values, spanId=""))).id is None
