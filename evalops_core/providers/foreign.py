"""Reading JSON that others wrote: the text, and of a value what has the expected type, else nothing.

What belongs here: parsing, and one question to one value. What does not: what an answer means (chat, embeddings, http).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import orjson

# Every escape of a string, so that a doubled backslash is never taken for the start of one; the group holds half pairs.
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL)


def parsed(raw: bytes) -> Any:
    """The JSON value, ValueError if it is none. U+FFFD stands for a lone surrogate (`\\ud83d`), which JSON can spell
    and UTF-8 cannot: whoever cuts text by UTF-16 units leaves half an emoji."""
    try:
        return orjson.loads(raw)
    except ValueError:
        marked = _ESCAPE.sub(lambda escape: rb"\ufffd" if escape[1] else escape[0], raw)
        if marked == raw:
            raise
        return orjson.loads(marked)


def mapping(value: Any) -> Mapping[str, Any]:
    """An object's members; none for anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def items(value: Any) -> Sequence[Any]:
    """An array's elements; none for anything else."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def first(value: Any) -> Any:
    return next(iter(items(value)), None)


def string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def count(value: Any) -> int | None:
    """A whole number from 0 on."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
