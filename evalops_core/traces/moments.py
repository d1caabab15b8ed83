"""When a call was made, as records write it: ISO 8601, seconds or nanoseconds since 1970.

What belongs here: reading moments and where they are looked for. What does not: which moments are acceptable
(run.trace_rules).
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Final

from evalops_core.domain.json import Json
from evalops_core.traces.call import BadRecordError, kind

TIME_KEYS: Final = ("created_at", "created", "timestamp", "start_time", "time")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
# What `fromisoformat` takes differs between versions of Python: before 3.11 neither a Z nor nanoseconds.
_ISO: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9}))? ?(Z|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)
_EXPECTED: Final = "expected `{}` to be a date and time in ISO 8601 or seconds since 1970"


def first_moment(*places: Mapping[str, Json]) -> datetime:
    """The first of `TIME_KEYS` that is given in the first of the places that has one, in UTC.

    0, null and empty text count as not given. BadRecordError where none is, and for one that cannot be read.
    """
    for place in places:
        for key in TIME_KEYS:
            if place.get(key):
                return moment(place[key], key)
    raise BadRecordError(f"expected the time of the call as one of {', '.join(TIME_KEYS)}; found none of them")


def moment(value: Json, key: str) -> datetime:
    """In UTC; a time without an offset is UTC."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return _EPOCH + timedelta(seconds=value)
        if isinstance(value, str):
            return _read(value.strip())
    except (ValueError, OverflowError):
        pass
    found = f"text of {len(value)} characters that is neither" if isinstance(value, str) else kind(value)
    if isinstance(value, int | float):
        found = "a number that is no such moment"
    raise BadRecordError(f"{_EXPECTED.format(key)}; found {found}")


def nanoseconds(value: Json, key: str) -> datetime:
    """Of a number of nanoseconds since 1970, which JSON of OpenTelemetry writes as text."""
    try:
        if isinstance(value, str | int) and int(value) > 0:
            return _EPOCH + timedelta(microseconds=int(value) // 1000)
    except (ValueError, OverflowError):
        pass
    raise BadRecordError(f"expected `{key}` to be nanoseconds since 1970; found {kind(value)}")


def _read(written: str) -> datetime:
    match = _ISO.fullmatch(written)
    if match is None:
        raise ValueError
    date, time, fraction, offset = match.groups()
    naive = datetime.fromisoformat(f"{date}T{time}").replace(microsecond=int((fraction or "0").ljust(6, "0")[:6]))
    zone = timezone.utc
    if offset and offset != "Z":
        digits = offset[1:].replace(":", "").ljust(4, "0")
        ahead = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        zone = timezone(ahead if offset[0] == "+" else -ahead)
    return naive.replace(tzinfo=zone).astimezone(timezone.utc)
