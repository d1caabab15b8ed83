"""Days of drift → the small picture that Dagster's pages show without a click: Markdown of fewer than 1,000 characters.

What belongs here: drawing under that limit, which `thumbnail` explains. What does not: the picture at full size
(drift_figure), what is joined and shaded (drift_series).
"""

from collections.abc import Sequence
from typing import Final

from evalops_core.domain.drift.day import DriftDay
from evalops_core.trend.drift_series import DriftSeries, drift_series, is_breach
from evalops_core.trend.scale import Scale
from evalops_core.trend.thumbnail import LIMIT, image, relative_path

_LEFT, _TOP, _BOTTOM, _HEIGHT = 32, 8, 72, 84  # pixels
_WIDTH = 330  # of the days
_BELOW: Final = _BOTTOM + 6  # where a day without a drift is marked: under the axis, not at 0
_MOST_DAYS, _MOST_PLACES = 40, 66  # of rows, and of the calendar
_FONT = "style='font:11px sans-serif'"
_LINE, _ALERT = "#28c", "#d60"


def drift_thumbnail(days: Sequence[DriftDay]) -> str:
    """Markdown with one image of one feature's newest days that fit, at most 40; `days` in any order.

    ValueError for no days, and for those of several features.
    """
    whole = drift_series(days).days
    for count in range(min(_MOST_DAYS, len(whole)), 0, -1):
        series = drift_series(whole[-count:])
        markdown = image("1 day" if count == 1 else f"{count} days", _svg(series))
        if count == 1 or (series.places <= _MOST_PLACES and len(markdown) < LIMIT):
            return markdown
    raise AssertionError("one day always fits")


def _svg(series: DriftSeries) -> str:
    step = _WIDTH // max(series.places, 8)
    right = _LEFT + step * series.places
    scale = Scale(series, _LEFT, _TOP, right, _BOTTOM)
    parts = [f"<svg xmlns='http://www.w3.org/2000/svg' width='{right + 60}' height='{_HEIGHT}' fill='gray' {_FONT}>"]
    if series.incidents:
        spans = "".join(_span(scale, first, last) for first, last in series.incidents)
        parts.append(f"<path d='{spans}' fill='{_ALERT}' opacity='.25'/>")
    said_nothing = "".join(f"M{_x(scale, day) - 1} {_BELOW}h3" for day in series.days if day.drift is None)
    parts.append(f"<g fill='none' stroke='gray'><path d='M{_LEFT} {_BOTTOM}H{right}{said_nothing}'/>")
    limits = "".join(_limit(scale, piece) for piece in series.limited)
    if limits:
        parts.append(f"<path d='{limits}' stroke='{_ALERT}' stroke-dasharray='1 3'/>")
    # A line of no length with round ends is a dot: a day between two without a drift.
    line = "".join(relative_path([_point(scale, day) for day in piece]) for piece in series.compared)
    if line:
        parts.append(f"<path d='{line}' stroke='{_LINE}' stroke-width='2' stroke-linecap='round'/>")
    parts.append("</g>")
    last = series.last_compared
    if last is not None and last.drift is not None:
        (x, y) = _point(scale, last)
        if is_breach(last):
            parts.append(f"<path d='M{x} {y - 5}l5 5-5 5-5-5z' fill='{_ALERT}'/>")
        else:
            parts.append(f"<circle cx='{x}' cy='{y}' r='4' fill='{_LINE}'/>")
        parts.append(f"<text x='{right + 6}' y='{y + 4}'>{last.drift:.3f}</text>")
    top = series.bounds[1]
    parts.append(f"<text y='{_TOP + 4}'>{top:.3g}</text><text y='{_BOTTOM + 4}'>0</text></svg>")
    return "".join(parts)


def _span(scale: Scale[DriftSeries], first: DriftDay, last: DriftDay) -> str:
    left, right = (round(scale.x(scale.series.place(day) + side)) for day, side in ((first, -0.5), (last, 0.5)))
    return f"M{left} {_TOP}H{right}V{_BOTTOM}H{left}z"


def _limit(scale: Scale[DriftSeries], piece: Sequence[DriftDay]) -> str:
    """Each day's own threshold, as few moves as it takes."""
    found, level = "", None
    for day in piece:
        y, left = round(scale.y(day.threshold or 0.0)), round(scale.x(scale.series.place(day) - 0.5))
        if y != level:
            found += f"H{left}V{y}" if found else f"M{left} {y}"
        level = y
    return f"{found}H{round(scale.x(scale.series.place(piece[-1]) + 0.5))}"


def _point(scale: Scale[DriftSeries], day: DriftDay) -> tuple[int, int]:
    return _x(scale, day), round(scale.y(day.drift or 0.0))  # only days with a drift come here


def _x(scale: Scale[DriftSeries], day: DriftDay) -> int:
    return round(scale.x(scale.series.place(day)))
