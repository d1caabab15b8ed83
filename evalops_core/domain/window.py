"""The time spans that eval runs stand for: fixed UTC grids, one per interval.

What belongs here: which window an instant falls into and what it is called. What does not: whether a run is due, and
Dagster's partitions, which are built from the same grid.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

INTERVALS_HOURS = (1, 2, 3, 4, 6, 8, 12, 24, 168)
_MONDAY = datetime(1970, 1, 5, tzinfo=timezone.utc)  # weeks start on Monday (ISO 8601)


@dataclass(frozen=True, slots=True)
class Window:
    """[start, end) in UTC; `key` is its name and its partition key."""

    start: datetime
    end: datetime
    key: str


def window_of(instant: datetime, interval_hours: int) -> Window:
    """The window that holds `instant` (aware). ValueError for an interval outside `INTERVALS_HOURS`."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    interval = _checked(interval_hours)
    start = _MONDAY + ((instant - _MONDAY) // interval) * interval
    return Window(start, start + interval, start.strftime(key_format(interval_hours)))


def window_of_key(key: str, interval_hours: int) -> Window:
    """The window named `key`. ValueError where there is none."""
    start = datetime.strptime(key, key_format(interval_hours)).replace(tzinfo=timezone.utc)
    window = window_of(start, interval_hours)
    if window.key != key:
        raise ValueError(f"no window of {interval_hours} h starts at {key}; the one around it is {window.key}")
    return window


def key_format(interval_hours: int) -> str:
    """strftime format of the windows' keys: a date where windows start at midnight, else date and time."""
    _checked(interval_hours)
    return "%Y-%m-%d" if interval_hours >= 24 else "%Y-%m-%d-%H:%M"


def cron(interval_hours: int) -> str:
    """The grid as a cron expression in UTC."""
    _checked(interval_hours)
    if interval_hours == 168:
        return "0 0 * * 1"
    return "0 0 * * *" if interval_hours == 24 else f"0 */{interval_hours} * * *"


def _checked(interval_hours: int) -> timedelta:
    if interval_hours not in INTERVALS_HOURS:
        allowed = ", ".join(str(hours) for hours in INTERVALS_HOURS)
        raise ValueError(f"an interval is one of {allowed} hours, not {interval_hours}")
    return timedelta(hours=interval_hours)
