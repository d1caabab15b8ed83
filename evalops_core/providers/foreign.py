"""Reading JSON that others wrote: the value if it has the expected type, else nothing.

What belongs here: one question to one value. What does not: what an answer means (chat, embeddings, http).
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast


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
