"""Messages as OpenTelemetry's conventions for generative AI record them, now and before, made into OpenAI's.

What belongs here: attributes and events that hold messages. What does not: spans around them (spans).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import orjson

from evalops_core.domain.json import Json
from evalops_core.traces.call import BadRecordError, Message, entries, items, kind, words
from evalops_core.traces.messages import chat_messages

_INPUT: Final = "gen_ai.input.messages"
_SYSTEM: Final = "gen_ai.system_instructions"
_NUMBERED: Final = re.compile(r"gen_ai\.prompt\.(\d{1,4})\.(role|content)", re.ASCII)
_HOLDING: Final = ("gen_ai.client.inference.operation.details", "gen_ai.content.prompt")
_EVENTS: Final = {f"gen_ai.{role}.message": role for role in ("system", "user", "assistant", "tool")}


def span_messages(
    attributes: Mapping[str, Json], events: Iterable[tuple[str, Mapping[str, Json]]]
) -> Sequence[Message] | None:
    """What the model was given, from a span's attributes or else from its events; None where neither holds it.

    `events` are their names and attributes, in order. BadRecordError where it is there and cannot be read.
    """
    known = list(events)
    for holder in (attributes, *(held for name, held in known if name in _HOLDING)):
        found = _held(holder)
        if found:
            return found
    return [_event_message(_EVENTS[name], held) for name, held in known if name in _EVENTS] or None


def _held(attributes: Mapping[str, Json]) -> Sequence[Message] | None:
    if _INPUT in attributes:
        given = _structured(attributes[_INPUT])
        if isinstance(given, str):
            raise BadRecordError(
                f"expected {_INPUT} to be a list or JSON of one; found text that is none, perhaps cut off by a limit "
                "of the exporter's"
            )
        made = [message for item in items(given) for message in _from_parts(item)]
        return [*_instructions(attributes.get(_SYSTEM)), *chat_messages(made if items(given) else given, _INPUT)]
    if "gen_ai.prompt" in attributes:
        given = _structured(attributes["gen_ai.prompt"])
        if isinstance(given, str):
            return [{"role": "user", "content": given}]
        return chat_messages(given, "gen_ai.prompt")
    return _numbered(attributes)


def _numbered(attributes: Mapping[str, Json]) -> Sequence[Message] | None:
    found: dict[int, dict[str, Json]] = {}
    for name, value in attributes.items():
        match = _NUMBERED.fullmatch(name)
        if match:
            found.setdefault(int(match[1]), {"role": "user"})[match[2]] = value
    return chat_messages([found[number] for number in sorted(found)], "gen_ai.prompt") if found else None


def _event_message(role: str, held: Mapping[str, Json]) -> Message:
    body = entries(_structured(held.get("gen_ai.event.content"))) or held
    return {"role": words(body.get("role")) or role, "content": _structured(body.get("content"), lists_only=True)}


def _instructions(value: Json) -> list[Message]:
    given = _structured(value)
    parts = [given] if isinstance(given, str) else items(given)
    return [{"role": "system", "content": _content(parts)}] if parts else []


def _from_parts(item: Json) -> list[Json]:
    """A message of OpenAI's for one of OpenTelemetry's, one more for each result of a tool in it.

    What is no text (pictures, files, a model's reasoning) is kept as its type alone. Another form is left as it is.
    """
    message = entries(item)
    if "parts" not in message:
        return [item]
    if not isinstance(message["parts"], list):
        raise BadRecordError(f"expected the `parts` of a message to be a list; found {kind(message['parts'])}")
    said: list[Json] = []
    calls: list[Json] = []
    results: list[Json] = []
    for part in message["parts"]:
        held = entries(part)
        if held.get("type") == "tool_call":
            function = {"name": held.get("name"), "arguments": _as_text(held.get("arguments"))}
            calls.append({"id": held.get("id"), "type": "function", "function": function})
        elif held.get("type") == "tool_call_response":
            result = _as_text(held.get("response", held.get("result")))
            results.append({"role": "tool", "tool_call_id": held.get("id"), "content": result})
        else:
            said.append(part)
    if results and not said and not calls:
        return results
    own: dict[str, Json] = {"role": message.get("role"), "content": _content(said)}
    return [own | {"tool_calls": calls} if calls else own, *results]


def _content(parts: Sequence[Json]) -> Json:
    """Of one text, that text; of nothing, None."""
    made: list[Json] = []
    for part in parts:
        held = entries(part)
        if isinstance(part, str) or held.get("type") == "text":
            made.append({"type": "text", "text": part if isinstance(part, str) else held.get("content")})
        else:
            made.append({"type": held.get("type")})
    if not made:
        return None
    alone = entries(made[0])
    return alone["text"] if len(made) == 1 and "text" in alone else made


def _structured(value: Json, *, lists_only: bool = False) -> Json:
    """What stands in JSON text; another value, and text that is no JSON, as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in (("[",) if lists_only else ("[", "{")):
        try:
            return orjson.loads(value)
        except ValueError:
            return value
    return value


def _as_text(value: Json) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()
