"""A call of a model as a record tells of it, and what is said of a record that cannot be used.

What belongs here: what all shapes of records come to. What does not: the shapes (logged, spans), which calls are kept
and under which id (run.trace_rules).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from evalops_core.domain.json import Json

DEEPEST: Final = 64
Message: TypeAlias = Mapping[str, Json]


class BadRecordError(ValueError):
    """Why a record cannot be used: a sentence that holds nothing of the record's texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedCall:
    """Nothing of it is checked against a rule of ours yet. `messages` are in OpenAI's form, `created_at` is aware;
    `id` and `feature` are None where the record names none."""

    id: str | None
    feature: str | None
    created_at: datetime
    messages: Sequence[Message]
    model: str | None
    error: str | None


def entries(value: Json) -> Mapping[str, Json]:
    """The value where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Json) -> Sequence[Json]:
    """The value where it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def words(value: Json) -> str | None:
    """The value where it is text with something in it, or a number as text; else None."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value.strip() else None


def kind(value: Json) -> str:
    """What a value is, for a sentence that must not hold the value itself."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "an object" if isinstance(value, dict) else "a list"


def ensure_flat(value: Json) -> None:
    """BadRecordError where it is nested deeper than `DEEPEST`; whoever walks through it afterwards needs no care."""
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise BadRecordError(f"expected at most {DEEPEST} levels of lists and objects; found more")
