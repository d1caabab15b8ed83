"""The JSON object in a model's answer.

What belongs here: finding it among prose and fences, and reading JSON without surprises. What does not: what it should
hold (json_fields, judge_reply).
"""

import json
import re
from collections.abc import Mapping
from typing import Any, cast

from evalops_core.domain.json import Json

_FENCE = re.compile(r"^[ \t]*```\w*[ \t]*\n(.*?)^[ \t]*```", re.MULTILINE | re.DOTALL)
_OPENING = re.compile(r'\{(?=\s*["}])')


def read_object(text: str, *, refuse_doubles: bool = False) -> Mapping[str, Json] | None:
    """`text` as one JSON object, or None. With `refuse_doubles` an object that says a key twice is none."""
    try:
        value: Any = json.loads(text, object_pairs_hook=_once if refuse_doubles else None)
    except (ValueError, RecursionError):  # also a number of too many digits, and brackets nested too deep
        return None
    return cast("Mapping[str, Json]", value) if isinstance(value, dict) else None


def find_object(answer: str) -> Mapping[str, Json] | None:
    """The whole answer, else the first fenced block that is an object, else the first balanced `{…}` that is one.

    An object that was cut off before it closed is not replaced by one inside it.
    """
    whole = read_object(answer)
    if whole is not None:
        return whole
    for block in _FENCE.findall(answer):
        fenced = read_object(block)
        if fenced is not None:
            return fenced
    for span in _balanced(answer):
        found = read_object(span)
        if found is not None:
            return found
    return None


def _balanced(text: str) -> list[str]:
    """The outermost `{…}` spans that open as an object does, braces within strings not counted; in one pass."""
    spans: list[str] = []
    opening = {match.start() for match in _OPENING.finditer(text)}
    depth, start, in_string, escaped = 0, 0, False, False
    for at, char in enumerate(text):
        if in_string:
            in_string = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif depth == 0:
            if at in opening:
                start, depth = at, 1
        elif char == '"':
            in_string = True
        elif char in "{}":
            depth += 1 if char == "{" else -1
            if depth == 0:
                spans.append(text[start : at + 1])
    return spans


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found
