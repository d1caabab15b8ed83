"""Whether a JSON Schema that a suite brings can be used as it stands.

What belongs here: refusing schemas that would fail, or reach for the network, only when the first answer is scored.
What does not: validating answers (the `scorers` package).
"""

from typing import Any, TypeVar, cast

SchemaT = TypeVar("SchemaT", bound="dict[str, Any]")


def checked_schema(schema: SchemaT) -> SchemaT:
    """The schema itself; ValueError where it is no JSON Schema or refers to anything outside itself."""
    import jsonschema  # only few suites have one

    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        where = "/".join(str(part) for part in error.absolute_path)
        raise ValueError(f"not a valid JSON Schema: {error.message[:200]}{f' (at {where})' if where else ''}") from None
    for reference in _references(schema):
        if _target(schema, reference) is None:
            raise ValueError(
                f"refers to {reference[:80]!r}, which is not in it; references start with #/ and lead to a part of it"
            )
    return schema


def _references(value: Any) -> list[str]:
    found: list[str] = []
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            entries = cast("dict[str, Any]", item)
            found += [entries[key] for key in ("$ref", "$dynamicRef") if isinstance(entries.get(key), str)]
            waiting.extend(entries.values())
        elif isinstance(item, list):
            waiting.extend(cast("list[Any]", item))
    return found


def _target(schema: Any, reference: str) -> Any:
    """What a JSON pointer (RFC 6901) such as `#/$defs/date` leads to; None where that is nothing."""
    if reference == "#":
        return schema
    if not reference.startswith("#/"):
        return None
    place = schema
    for part in reference[2:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(place, dict) and key in place:
            place = cast("dict[str, Any]", place)[key]
        elif isinstance(place, list) and key.isdecimal() and int(key) < len(cast("list[Any]", place)):
            place = cast("list[Any]", place)[int(key)]
        else:
            return None
    return place
