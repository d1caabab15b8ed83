"""Records of requests in OpenAI's shape: a row of the table, a request with its response, a stored chat, a batch line.

What belongs here: where in such a record each fact stands. What does not: the messages' own shape (messages), spans of
OpenTelemetry (spans).
"""

from collections.abc import Mapping

from evalops_core.domain.json import Json
from evalops_core.traces.call import BadRecordError, LoggedCall, Message, entries, words
from evalops_core.traces.messages import chat_messages, messages_of_input
from evalops_core.traces.moments import first_moment

_FORMS = (
    "expected `messages` or `input`, at the top or within `request` or `body`, or spans of OpenTelemetry; found neither"
)


def logged_call(record: Mapping[str, Json]) -> LoggedCall:
    """What the record says is looked for at its top, then in its response, then in its request.

    `custom_id` is no id, for it is unique within its batch only.
    """
    request = entries(record.get("request")) or entries(record.get("body")) or record
    response = entries(record.get("response"))
    answer = entries(response.get("body")) or response  # as a batch's results have it
    places = (record, answer, request)
    return LoggedCall(
        id=words(record.get("id")) or words(answer.get("id")),
        feature=_feature(*places),
        messages=_messages(request if "messages" in request or "input" in request else record),
        created_at=first_moment(*places),
        model=words(answer.get("model")) or words(record.get("model")) or words(request.get("model")),
        error=_error(record.get("error")) or _error(answer.get("error")) or _refused(response.get("status_code")),
    )


def _messages(holder: Mapping[str, Json]) -> list[Message]:
    if "messages" in holder:
        return list(chat_messages(holder["messages"]))
    if "input" in holder:
        return list(messages_of_input(holder["input"], holder.get("instructions")))
    raise BadRecordError(_FORMS)


def _feature(*places: Mapping[str, Json]) -> str | None:
    for place in places:
        found = words(place.get("feature")) or words(entries(place.get("metadata")).get("feature"))
        if found:
            return found
    return None


def _error(value: Json) -> str | None:
    """None for a call that was answered. Of an error's object its message, or else what names it."""
    if isinstance(value, dict):
        named = (words(value.get(key)) for key in ("message", "type", "code"))
        return next((name for name in named if name), "error" if value else None)
    if isinstance(value, bool | list):
        return "error" if value else None
    return words(value)


def _refused(status: Json) -> str | None:
    return f"status {status}" if isinstance(status, int) and status >= 400 else None
