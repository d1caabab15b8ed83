"""The time spans that eval runs stand for: fixed UTC grids, one per interval.

What belongs here: which window an instant falls into, what it is called, and whether a scheduled run of it is due.
What does not: Dagster's partitions, which are built from the same grid, and whether a run that is due may start.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Literal, Union

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


@dataclass(frozen=True, slots=True)
class Due:
    """A scheduled run of `window` should start now."""

    window: Window


@dataclass(frozen=True, slots=True)
class NotDue:
    """`why` in words, and the instant at which it will be due."""

    why: str
    until: datetime


@dataclass(frozen=True, slots=True)
class LastRun:
    """A feature's last scheduled run: `finished` if it ended with a result, whether or not that can be used.

    One that failed or was cut short is not finished: what it lacks is still owed.
    """

    partition_key: str
    started_at: datetime
    state: Literal["completed", "unusable", "unfinished"]


def due(now: datetime, interval_hours: int, last: LastRun | None) -> Union[Due, NotDue]:
    """Whether a feature's scheduled run is due at `now`, which is aware.

    It is due once in every window, and not within half an interval of the start of the one before: so switching the
    schedule on shortly before a window ends does not pay twice. Windows are a fixed grid, so due times cannot creep. A
    run that was cut short is due again at once; one that ended without a usable result (`unusable`) after half an
    interval, so that a failure that lasts is not paid for at every tick. A clock that was set back finds the window
    done, or its last run too recent.
    """
    window = window_of(now, interval_hours)
    if last is None:
        return Due(window)
    if last.partition_key == window.key and last.state == "completed":
        return NotDue(f"window {window.key} is evaluated", window.end)
    if last.state == "unfinished":
        return Due(window)
    earliest = last.started_at + _checked(interval_hours) / 2
    if now < earliest:
        return NotDue(f"the last scheduled run started at {last.started_at:%Y-%m-%d %H:%M} UTC", earliest)
    return Due(window)


def _checked(interval_hours: int) -> timedelta:
    if interval_hours not in INTERVALS_HOURS:
        allowed = ", ".join(str(hours) for hours in INTERVALS_HOURS)
        raise ValueError(f"an interval is one of {allowed} hours, not {interval_hours}")
    return timedelta(hours=interval_hours)
