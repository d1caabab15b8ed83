"""Moments as people write them on the command line, and as they are shown.

What belongs here: reading and spelling. What does not: what a moment is for.
"""

import re
from datetime import datetime, timedelta, timezone

_EXPECTED_MOMENT = (
    "expected a date like 2026-12-01, a date and time like 2026-12-01T09:00 (UTC) or 2026-12-01T09:00+01:00"
)
_EXPECTED = f"{_EXPECTED_MOMENT}, or a span like 12h, 3d or 2w"
_EXPECTED_PAST = "expected a span like 90d or 12w, or a date like 2026-01-31"
_SPAN = re.compile(r"(\d{1,9})([mhdw])", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d"  # what `fromisoformat` takes differs between versions of Python
    r"([T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?)?",
    re.ASCII,
)


def future_moment(written: str, now: datetime) -> datetime:
    """The moment, in UTC. A date is its first instant, a span counts from `now`; without an offset it is UTC.

    ValueError, a sentence, for whatever else and for what is over.
    """
    words = written.strip()
    try:
        moment = _read(words, now)
    except (ValueError, OverflowError):
        raise ValueError(f"{_EXPECTED}, not {written[:80]!r}") from None
    if moment <= now:
        raise ValueError(f"{spelt(moment)} is over; it has to be in the future")
    return moment


def any_moment(written: str) -> datetime:
    """The moment, in UTC: a date is its first instant, and a time without an offset is UTC. ValueError, a sentence."""
    words = written.strip()
    try:
        return _moment(words)
    except (ValueError, OverflowError):
        raise ValueError(f"{_EXPECTED_MOMENT}, not {written[:80]!r}") from None


def past_moment(written: str, now: datetime, youngest: timedelta) -> datetime:
    """The moment, in UTC, at least `youngest` before `now`. A date is its first instant, a span counts back from `now`.

    ValueError, a sentence, for whatever else and for what is later.
    """
    words = written.strip()
    try:
        span = _SPAN.fullmatch(words)
        moment = now - _length(span) if span else _moment(words)
    except (ValueError, OverflowError):
        raise ValueError(f"{_EXPECTED_PAST}, not {written[:80]!r}") from None
    if now - moment < youngest:
        raise ValueError(f"{written[:80]!r} is less than {youngest.days} day ago; what is so new is not taken")
    return moment


def spelt(moment: datetime) -> str:
    """`2026-11-24 06:00 UTC`."""
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"


def _read(words: str, now: datetime) -> datetime:
    span = _SPAN.fullmatch(words)
    if span:
        return now + _length(span)
    return _moment(words)


def _length(span: "re.Match[str]") -> timedelta:
    return timedelta(**{_UNITS[span[2]]: int(span[1])})


def _moment(words: str) -> datetime:
    if not _MOMENT.fullmatch(words):
        raise ValueError(words)
    moment = datetime.fromisoformat(words.replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
