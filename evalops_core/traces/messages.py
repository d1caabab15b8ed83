"""Messages in OpenAI's forms: a chat's `messages` as they are, and the Responses API's `input` made into such.

What belongs here: what counts as a message. What does not: records (logged), OpenTelemetry's parts (span_messages).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from evalops_core.domain.json import Json
from evalops_core.traces.call import BadRecordError, Message, items, kind

_ROLE: Final = re.compile(r"[A-Za-z_-]{1,40}")
_TEXTS: Final = ("input_text", "output_text")  # what the Responses API calls the parts that a chat calls `text`


def chat_messages(value: Json, key: str = "messages") -> Sequence[Message]:
    """The value, where it is a list of messages, at least one. BadRecordError names `key`."""
    if not isinstance(value, list) or not value:
        found = "an empty one" if value == [] else kind(value)
        raise BadRecordError(f"expected `{key}` to be a list of messages; found {found}")
    return [_message(item, number, key) for number, item in enumerate(value, start=1)]


def messages_of_input(value: Json, instructions: Json) -> Sequence[Message]:
    """Those of a request to the Responses API: `instructions` as a system message, then what `input` holds."""
    first = [{"role": "system", "content": instructions}] if isinstance(instructions, str) and instructions else []
    if isinstance(value, str) and value:
        return [*first, {"role": "user", "content": value}]
    if not isinstance(value, list) or not value:
        found = "an empty one" if value in ("", []) else kind(value)
        raise BadRecordError(f"expected `input` to be text or a list of messages; found {found}")
    made = [_message(item, number, "input") for number, item in enumerate(map(_of_item, value), start=1) if item]
    return [*first, *made]


def _message(item: Json, number: int, key: str) -> Message:
    if not isinstance(item, dict):
        raise BadRecordError(f"expected message {number} of `{key}` to be an object; found {kind(item)}")
    role = item.get("role")
    if not isinstance(role, str) or not _ROLE.fullmatch(role):
        found = "none" if role is None else "another word" if isinstance(role, str) else kind(role)
        raise BadRecordError(f"expected message {number} of `{key}` to have a role like user; found {found}")
    return item


def _of_item(item: Json) -> Json:
    """A message for one item of `input`; None for what is neither said nor done, as reasoning."""
    if not isinstance(item, dict):
        return item
    match item.get("type"):
        case "input_text":  # a part without a message around it
            return {"role": "user", "content": item.get("text")}
        case "function_call":
            function = {"name": item.get("name"), "arguments": item.get("arguments")}
            call = {"id": item.get("call_id"), "type": "function", "function": function}
            return {"role": "assistant", "content": None, "tool_calls": [call]}
        case "function_call_output":
            return {"role": "tool", "tool_call_id": item.get("call_id"), "content": item.get("output")}
        case _ if "role" in item:
            content = item.get("content")
            parts: Json = [_part(part) for part in items(content)] if isinstance(content, list) else content
            return {"role": item["role"], "content": parts}
        case _ if isinstance(item.get("type"), str):
            return None
        case _:
            return item


def _part(part: Json) -> Json:
    if isinstance(part, Mapping) and part.get("type") in _TEXTS:
        return {"type": "text", "text": part.get("text")}
    return part
