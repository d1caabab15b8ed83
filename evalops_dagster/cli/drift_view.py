"""What `evalops drift` prints for people: for each feature a line of blocks, a table of its days, and what stands out.

What belongs here: looks. What does not: where the days come from (drift), files for programs
(evalops_core.trend.drift_export), how a table is drawn (plain_table).
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TextIO

from evalops_core.mail.untrusted import one_line
from evalops_core.trend.drift_history import DriftDay
from evalops_core.trend.drift_series import drift_series, is_breach
from evalops_core.trend.sparkline import drift_sparkline
from evalops_dagster.cli.plain_table import Column, is_plain, print_lines, table_lines, width_of

_ALL_FIT = 100  # columns of a terminal that has room for the whole table
_DAYS = 30  # characters of a feature's line
_BESIDE = 64  # what its numbers take, at most
_LONGEST_NAME, _LONGEST_CELL = 30, 300
_NONE = "–"


def print_drift(days: Sequence[DriftDay], file: TextIO) -> None:
    """`days` by feature, newest first within; ASCII where `file` can do no more."""
    width, plain = width_of(file), is_plain(file)
    columns = [column for column in _COLUMNS if width >= _ALL_FIT or column.heading not in _WIDE_ONLY]
    for number, (_, found) in enumerate(groupby(days, key=lambda day: day.feature)):
        rows = list(found)
        above = ("",) if number else ()
        lines = (_line(rows, width, plain=plain), "", *table_lines(columns, rows, width), *_farthest(rows[0]))
        print_lines((*above, *lines), file)


def _line(days: Sequence[DriftDay], width: int, *, plain: bool) -> str:
    name = one_line(days[0].feature, _LONGEST_NAME)
    drawn = drift_sparkline(drift_series(days), max(1, min(_DAYS, width - len(name) - _BESIDE)), plain=plain)
    if drawn is None:
        return f"{name}  nothing has been compared yet"
    if drawn.runs == 1:
        return f"{name}  {drawn.line}  {drawn.high:.3f} (one day, blocks {drawn.bottom:g}–{drawn.top:.3g})"
    of = f"last {drawn.runs} days compared, blocks {drawn.bottom:g}–{drawn.top:.3g}"
    return f"{name}  {drawn.line}  {drawn.low:.3f}–{drawn.high:.3f} ({of})"


def _farthest(newest: DriftDay) -> Iterator[str]:
    """Of a day above its threshold; by ids, for what was asked is nobody's to print."""
    if is_breach(newest) and newest.farthest:
        traces = ", ".join(f"{one_line(far.trace_id, _LONGEST_NAME)} ({far.distance:.3f})" for far in newest.farthest)
        yield f"farthest on {newest.day}, by trace and distance: {traces}"


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.3f}"


def _incident(day: DriftDay) -> str:
    return _NONE if day.incident_id is None else f"{day.incident_id} {day.incident_resolution or 'open'}"


_COLUMNS: Sequence[Column[DriftDay]] = (
    Column("day (UTC)", lambda day: f"{day.day}", left=True),
    Column("state", lambda day: day.state or "undecided", left=True),
    Column("drift", lambda day: _number(day.drift)),
    Column("threshold", lambda day: _number(day.threshold)),
    Column("rule", lambda day: day.rule or _NONE, left=True),
    Column("n", lambda day: f"{day.n}"),
    Column("streak", lambda day: f"{day.streak}"),
    Column("incident", _incident, left=True),
    Column("why", lambda day: one_line(day.why, _LONGEST_CELL) or "not decided yet", folds_to=12),
)
_WIDE_ONLY = ("rule", "streak")  # left out on a narrow terminal
