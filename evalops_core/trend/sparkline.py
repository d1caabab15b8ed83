"""A feature's last scores, or its inputs' last drifts, as one line of characters.

What belongs here: which character stands for what. What does not: where the line is interrupted (series,
drift_series), what is printed beside it (the command).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from evalops_core.trend.drift_series import DriftSeries
from evalops_core.trend.series import Series

BLOCKS = "▁▂▃▄▅▆▇█"
CHANGE = "│"
_PLAIN_BLOCKS, _PLAIN_CHANGE = ".:-=+*#@", "|"  # for a terminal that knows nothing else
_WIDEST_GAP = 3  # characters where days are missing, however many


@dataclass(frozen=True, slots=True)
class Sparkline:
    """`line` shows the last `runs` runs (of drift: days), oldest first: a character each, the lowest at the value
    `bottom`, the highest at `top`; a space for each window before it without a valid run (day without a drift; three at
    most), and a bar where something that scores depend on changed. `low` and `high` are the lowest and highest value
    of these."""

    line: str
    runs: int
    low: float
    high: float
    bottom: float
    top: float


@dataclass(frozen=True, slots=True)
class _Point:
    value: float
    before: str  # what stands between it and the point before


def sparkline(series: Series, width: int, *, plain: bool = False) -> Sparkline:
    """As many of the newest runs as fit in `width` characters, at least one; `plain` is ASCII.

    The scale is the series' own, at least one point of 1–5 wide: noise is not drawn as if it were a fall.
    """
    bar = _PLAIN_CHANGE if plain else CHANGE
    points = [_Point(mark.score, " " * mark.missing + (bar if mark.changed else "")) for mark in series.marks]
    return _drawn(points, series.bounds, width, plain=plain)


def drift_sparkline(series: DriftSeries, width: int, *, plain: bool = False) -> Sparkline | None:
    """The same of the newest days with a drift, from 0 up; None where no day has any."""
    points: list[_Point] = []
    place = -1
    for day in series.days:
        if day.drift is not None:
            gap = min(_WIDEST_GAP, series.place(day) - place - 1) if points else 0
            points.append(_Point(day.drift, " " * gap))
            place = series.place(day)
    return _drawn(points, series.bounds, width, plain=plain) if points else None


def _drawn(points: Sequence[_Point], bounds: tuple[float, float], width: int, *, plain: bool) -> Sparkline:
    blocks = _PLAIN_BLOCKS if plain else BLOCKS
    bottom, top = bounds
    line, between = "", ""
    shown: list[float] = []
    for point in reversed(points):
        step = int((point.value - bottom) / (top - bottom) * len(blocks))
        longer = blocks[min(max(step, 0), len(blocks) - 1)] + between + line
        if shown and len(longer) > width:
            break
        line, between = longer, point.before
        shown.append(point.value)
    return Sparkline(line, len(shown), min(shown), max(shown), bottom, top)
