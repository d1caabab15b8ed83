"""Spans of OpenTelemetry that are calls of a model, as exporters write them in JSON.

What belongs here: where a span's facts stand, and which spans are such calls. What does not: messages (span_messages).
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from evalops_core.domain.json import Json
from evalops_core.traces.call import BadRecordError, LoggedCall, entries, items, words
from evalops_core.traces.moments import TIME_KEYS, first_moment, nanoseconds
from evalops_core.traces.span_messages import span_messages

FEATURE: Final = "evalops.feature"
_ASKING: Final = ("chat", "generate_content", "text_completion", None)  # None: instrumentation older than the attribute
_AROUND: Final = ("invoke_agent", "invoke_workflow")  # the calls within have spans of their own


def exported_calls(record: Mapping[str, Json]) -> Iterator[LoggedCall | BadRecordError]:
    """Those among the spans of a line of OTLP in JSON; for a span that cannot be used, why."""
    number = 0
    for group in items(record.get("resourceSpans")):
        resource = _attributes(entries(entries(group).get("resource")).get("attributes"))
        for scope in items(entries(group).get("scopeSpans")):
            for span in items(entries(scope).get("spans")):
                number += 1
                try:
                    call = span_call(entries(span), resource)
                except BadRecordError as error:
                    yield BadRecordError(f"span {number} of the line: {error}")
                    continue
                if call is not None:
                    yield call


def is_span(record: Mapping[str, Json]) -> bool:
    return "attributes" in record and any(key in record for key in ("context", "traceId", "trace_id"))


def span_call(span: Mapping[str, Json], resource: Mapping[str, Json] | None = None) -> LoggedCall | None:
    """The call; None where the span is none. BadRecordError where it is one and lacks messages or a time."""
    attributes = _attributes(span.get("attributes"))
    if resource is None:
        resource = _attributes(entries(span.get("resource")).get("attributes"))
    if not any(name.startswith("gen_ai.") for name in attributes):
        return None
    operation = attributes.get("gen_ai.operation.name")
    if operation in _AROUND:
        return None
    messages = span_messages(attributes, map(_event, items(span.get("events"))))
    if messages is None:
        if operation in _ASKING:
            raise BadRecordError(
                "expected the messages in gen_ai.input.messages, gen_ai.prompt or events of the span; found none, "
                "switch on that the instrumentation captures message content"
            )
        return None  # a tool that was executed, texts that were embedded
    return LoggedCall(
        id=_id(span),
        feature=words(attributes.get(FEATURE)) or words(resource.get(FEATURE)),
        created_at=_started(span),
        messages=messages,
        model=words(attributes.get("gen_ai.response.model")) or words(attributes.get("gen_ai.request.model")),
        error=_error(attributes, entries(span.get("status"))),
    )


def _id(span: Mapping[str, Json]) -> str | None:
    """The same for one span however it was exported: some exporters write 0x before the digits, some capitals."""
    context = entries(span.get("context")) or span
    trace, own = (_digits(context, *keys) for keys in (("traceId", "trace_id"), ("spanId", "span_id")))
    return f"{trace}-{own}" if trace and own else None


def _digits(context: Mapping[str, Json], *keys: str) -> str:
    found = next((word for key in keys if (word := words(context.get(key)))), "")
    digits = found.lower().removeprefix("0x")
    return digits if set(digits) <= set("0123456789abcdef") else found  # base64 has capitals that mean something


def _started(span: Mapping[str, Json]) -> datetime:
    if span.get("startTimeUnixNano") not in (None, 0, "0", ""):
        return nanoseconds(span["startTimeUnixNano"], "startTimeUnixNano")
    if any(span.get(key) for key in TIME_KEYS):
        return first_moment(span)
    raise BadRecordError(
        f"expected the span's start as startTimeUnixNano or one of {', '.join(TIME_KEYS)}; found none of them"
    )


def _error(attributes: Mapping[str, Json], status: Mapping[str, Json]) -> str | None:
    failed = (status.get("code", status.get("status_code"))) in (2, "STATUS_CODE_ERROR", "ERROR", "StatusCode.ERROR")
    said = words(status.get("message")) or words(status.get("description")) or "error"
    return words(attributes.get("error.type")) or (said if failed else None)


def _event(event: Json) -> tuple[str, Mapping[str, Json]]:
    held = entries(event)
    return words(held.get("name")) or "", _attributes(held.get("attributes"))


def _attributes(value: Json) -> Mapping[str, Json]:
    """By name. OTLP has a list of keys and typed values, the SDKs print an object."""
    if isinstance(value, list):
        pairs = [entries(item) for item in value]
        return {key: _plain(pair.get("value")) for pair in pairs if isinstance(key := pair.get("key"), str)}
    return entries(value)


def _plain(value: Json) -> Json:
    held = entries(value)
    if "arrayValue" in held:
        return [_plain(item) for item in items(entries(held["arrayValue"]).get("values"))]
    if "kvlistValue" in held:
        return dict(_attributes(entries(held["kvlistValue"]).get("values")))
    return next((held[key] for key in ("stringValue", "intValue", "doubleValue", "boolValue") if key in held), None)
