"""One sentence for what a file model refuses: file, line, key, what was expected, what was found.

What belongs here: turning validation errors into ConfigError. What does not: what is allowed (files, scorer_files).
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from evalops_core.errors import ConfigError
from evalops_core.suites.file_model import listed, suggestion
from evalops_core.suites.yaml_document import Keys, dotted

_EXPECTED: Mapping[str, str] = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
}
_UNREPEATED = "api_key_env"


def config_error(
    error: ValidationError, data: object, file: Path, line_of: Callable[[Keys], int | None]
) -> ConfigError:
    """For the first problem by line; `data` is what was validated, `line_of` gives the line of a path in it."""
    found = [(_keys(item, data), item) for item in error.errors(include_url=False)]
    keys, item = min(found, key=lambda pair: line_of(pair[0]) or 0)
    return ConfigError(_sentence(item, keys), file=file, line=line_of(keys), key=dotted(keys) or None)


def _keys(item: ErrorDetails, data: Any) -> Keys:
    """Where in the file the error lies: pydantic's location without the names of the union members it tried."""
    keys: Keys = ()
    place = data
    steps = item["loc"]
    for index, step in enumerate(steps):
        known = step in place if isinstance(place, dict) else isinstance(place, list) and isinstance(step, int)
        if known:
            place = cast("Any", place)[step]
            keys = (*keys, step)
        elif item["type"] == "missing" and index == len(steps) - 1:
            keys = (*keys, step)
    if item["type"] == "union_tag_invalid":
        return (*keys, "type")
    return (*keys, *_context(item).get("at", ()))


def _sentence(item: ErrorDetails, keys: Keys) -> str:
    kind, context, value = item["type"], _context(item), item.get("input")
    if kind == "missing":
        return "missing; add it"
    if kind in _EXPECTED:
        hint = "; put it in quotes" if kind == "string_type" and isinstance(value, (bool, int, float)) else ""
        return f"expected {_EXPECTED[kind]}{_found(value, keys)}{hint}"
    if kind == "union_tag_not_found":
        return "a scorer is a mapping with a `type`; add one"
    if kind == "union_tag_invalid":
        tags = [tag.strip("'") for tag in str(context["expected_tags"]).split(", ")]
        tag = str(context["tag"])
        return f"unknown scorer type {tag[:40]!r}{suggestion(tag, tags)}; there are {listed(tags)}"
    if kind == "literal_error":
        return f"expected {context['expected']}{_found(value, keys)}"
    if kind in ("too_short", "string_too_short"):
        return "must not be empty"
    if kind in ("value_error", "refused"):
        return item["msg"].removeprefix("Value error, ")
    return f"{item['msg'][:1].lower()}{item['msg'][1:]}{_found(value, keys)}".replace("input should be", "expected", 1)


def _found(value: object, keys: Keys) -> str:
    if keys and keys[-1] == _UNREPEATED:
        return ""
    if value is None:
        return ", found nothing"
    if isinstance(value, bool):
        return f", found {str(value).lower()}"
    if isinstance(value, (int, float)):
        return f", found {str(value)[:40]}"
    if isinstance(value, str):
        return f", found {value if len(value) <= 40 else value[:40] + '…'!r}"
    return ", found a list" if isinstance(value, list) else ", found a mapping"


def _context(item: ErrorDetails) -> dict[str, Any]:
    return item.get("ctx") or {}
