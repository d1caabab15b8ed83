"""What all file models share: strictness, unknown keys with a suggestion, and the small types they are made of.

What belongs here: the base class and types used by more than one file model. What does not: the models (files,
scorer_files) and how their problems are put into a sentence (problems).
"""

import difflib
import re
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
NAME_RULE = "lower-case letters, digits and underscores, a letter first, at most 63"


class FileModel(BaseModel):
    """Nothing is converted, nothing is ignored."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            allowed = [item.alias or name for name, item in cls.model_fields.items()]
            for key in data:  # pyright: ignore[reportUnknownVariableType]  # whatever the file holds
                if key not in allowed:
                    name = str(key)  # pyright: ignore[reportUnknownArgumentType]  # as above
                    raise refuse(f"unknown key{suggestion(name, allowed)}; allowed here are {listed(allowed)}", name)
        return data  # pyright: ignore[reportUnknownVariableType]  # as above


def refuse(problem: str, *at: str | int) -> PydanticCustomError:
    """An error for a validator to raise; `at` leads from the model to the place at fault."""
    return PydanticCustomError("refused", "{problem}", {"problem": problem, "at": at})


def suggestion(word: str, allowed: Iterable[str]) -> str:
    """` (did you mean X?)`, or nothing where nothing is near."""
    near = difflib.get_close_matches(word[:100], list(allowed), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def listed(words: Iterable[object]) -> str:
    """`a, b and c`."""
    *first, last = [str(word) for word in words]
    return f"{', '.join(first)} and {last}" if first else last


def first_duplicate(words: Iterable[str]) -> tuple[int, int] | None:
    """The indexes of the first word that repeats an earlier one: (earlier, later)."""
    seen: dict[str, int] = {}
    for index, word in enumerate(words):
        if word in seen:
            return seen[word], index
        seen[word] = index
    return None


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError(f"a name is made of {NAME_RULE}; not {value[:80]!r}")
    return value


Name = Annotated[
    str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{NAME.pattern}$"}, mode="validation")
]
Text = Annotated[str, Field(min_length=1)]
Weight = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
