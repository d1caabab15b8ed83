"""What the mock says: always the same to the same question, so that clients that ask the same reach the same mean."""

import json
import math
import re
import struct
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, cast

_CASE = re.compile(r"case-\d{3,}")
_WORD = re.compile(r"\w+")
_PROSE = (
    "an item that was not used may be returned within thirty days if the receipt is kept so please tell us the number "
    "of the order and the day on which it was bought and we shall look it up for you and send the money back "
)


def digest(*parts: bytes | str | int) -> bytes:
    """16 bytes."""
    joined = b"\0".join(part if isinstance(part, bytes) else str(part).encode("utf-8", "replace") for part in parts)
    return blake2b(joined, digest_size=16).digest()


def unit(drawn: bytes, at: int = 0) -> float:
    """A number in [0, 1) from eight bytes of a digest."""
    return struct.unpack_from("<Q", drawn, at)[0] / 2.0**64


def key_of(text: str) -> str:
    """The case id (`case-000123`) that a text names, or the digest of the text."""
    at = text.find("case-")  # a search for plain text first: the pattern is slow on long texts
    found = _CASE.search(text, at) if at >= 0 else None
    return found.group(0) if found else digest(text).hex()


def text_of(messages: Any) -> str:
    """The text of chat messages, or of an embedding request's input, whichever of their shapes they have."""
    if isinstance(messages, str):
        return messages
    if isinstance(messages, dict):
        fields = cast("dict[str, Any]", messages)
        return text_of(fields.get("content", fields.get("text")) or "")
    return "\n".join(text_of(part) for part in cast("Sequence[Any]", messages))


def answer(key: str, text: str, length: int) -> str:
    """`length` characters that depend on the text alone."""
    start = digest("answer", text)[0] % len(_PROSE)
    prose = _PROSE * (length // len(_PROSE) + 2)
    return f"Answer to {key}: {prose[start : start + length]}"


def judgment(key: str, schema: Mapping[str, Any] | None, axes: Sequence[str]) -> str:
    """JSON that fits the schema, or `{axis: 1…5, …, "reason": …}`; the scores depend on the key alone."""
    if schema is None:
        return json.dumps({**{axis: _score(key, axis) for axis in axes}, "reason": f"Reason {key}."})
    return json.dumps(_instance(schema, schema, key, ()))


def embedding(text: str, dimensions: int) -> list[float]:
    """The sum of a fixed random direction for each word: texts that share words are similar. Not normalised."""
    total = [0.0] * dimensions
    for word in _WORD.findall(text.lower()) or [text]:
        drawn = b"".join(digest("word", word, block) for block in range(math.ceil(dimensions / 16)))
        for at in range(dimensions):
            total[at] += drawn[at] / 127.5 - 1.0
    return total


def _score(key: str, axis: str) -> int:
    return 1 + digest("score", key, axis)[0] % 5


def _instance(schema: Mapping[str, Any], root: Mapping[str, Any], key: str, path: tuple[str, ...]) -> Any:
    """A value that fits a JSON Schema of the plain kind that judges use; whole numbers are scores of (key, path)."""
    if len(path) > 12:
        return None
    if "$ref" in schema:
        target: Any = root
        for step in str(schema["$ref"]).lstrip("#/").split("/"):
            target = target[step]
        return _instance(target, root, key, path)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][digest("enum", key, *path)[0] % len(schema["enum"])]
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return _instance(schema[choice][0], root, key, path)
    kinds: Any = schema.get("type")
    if isinstance(kinds, list):
        kinds = next((one for one in cast("list[str]", kinds) if one != "null"), "null")
    kind = str(kinds)
    if kind == "object" or "properties" in schema:
        members: dict[str, Any] = schema.get("properties", {})
        return {name: _instance(member, root, key, (*path, name)) for name, member in members.items()}
    if kind == "array":
        return [_instance(schema.get("items", {}), root, key, path)] * int(schema.get("minItems", 1))
    if kind in ("integer", "number"):
        score = _score(key, ".".join(path))
        return min(max(score, schema.get("minimum", score)), schema.get("maximum", score))
    return True if kind == "boolean" else None if kind == "null" else f"Reason {key}."
