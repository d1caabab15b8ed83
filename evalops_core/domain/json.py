"""Canonical JSON: one spelling per value, so that equal values have equal content hashes.

What belongs here: spelling and hashing. What does not: what is hashed (suite, comparability).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias, Union

Json: TypeAlias = Union[None, bool, int, float, str, Sequence["Json"], Mapping[str, "Json"]]
# Made once: each case has several values spelled.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical(value: Json) -> str:
    """Keys sorted, no spaces, non-ASCII kept, NaN refused (ValueError)."""
    return _ENCODER.encode(value)


def content_hash(value: Json) -> str:
    """The first 16 hex digits of the SHA-256 of the canonical spelling: short enough to read, 64 bits of it."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:16]


def content_hash_of_all(values: Iterable[Json]) -> str:
    """The same as `content_hash` of their list, which is never in memory at once."""
    digest, separator = hashlib.sha256(b"["), b""
    for value in values:
        digest.update(separator + canonical(value).encode())
        separator = b","
    digest.update(b"]")
    return digest.hexdigest()[:16]
