"""Days → the picture of a feature's drift, as a PNG.

What belongs here: drawing. What does not: which days are shown (the letter's points), the words around the picture,
what it shares with that of scores (figure_parts). Days stand where the calendar has them; one that is missing, or was
compared with nothing, is a gap. A day above its threshold differs from the others in colour and shape.
"""

# matplotlib's annotations leave parts of its functions unknown.
# pyright: reportUnknownMemberType=false

import math
from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

from evalops_core.mail.canvas import blank
from evalops_core.mail.facts import DriftPoint
from evalops_core.mail.figure_parts import (
    ALERT,
    AREA,
    CURRENT,
    HEIGHT,
    INK,
    LINE,
    WIDTH,
    calm,
    day_of,
    names_beside,
    spaced,
)
from evalops_core.mail.wording import distance

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.font_manager import FontProperties

_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # between the ticks of the axis of drift
_MOST_TICKS = 6


def draw(points: Sequence[DriftPoint]) -> bytes:
    """A PNG of 1120 × 500 px: the drifts of `points` (at least one, the oldest first) and the threshold of each.

    The same arguments make the same bytes. ValueError without points.
    """
    if not points:
        raise ValueError("there is nothing to draw")
    with blank(WIDTH, HEIGHT) as canvas:
        _draw(canvas.figure.add_axes(AREA), canvas.font, points)
        return canvas.png()


def pieces(points: Sequence[DriftPoint]) -> Sequence[Sequence[tuple[int, float]]]:
    """The compared days as (days since the first point, drift), cut where a day was not compared or is missing."""
    found: list[list[tuple[int, float]]] = []
    for point in points:
        if point.drift is None:
            continue
        at = (point.day - points[0].day).days
        if not found or found[-1][-1][0] != at - 1:
            found.append([])
        found[-1].append((at, point.drift))
    return found


def _draw(axes: "Axes", font: "FontProperties", points: Sequence[DriftPoint]) -> None:
    first = points[0].day
    limits = {(point.day - first).days: point.threshold for point in points if point.threshold is not None}
    values = [point.drift for point in points if point.drift is not None]
    top = max([*values, *limits.values(), _STEPS[0]]) * 1.12  # so that no marker is cut at the end
    axes.set_ylim(0, top)
    days = (points[-1].day - first).days + 1
    axes.set_xlim(-0.5, days - 0.5)
    _thresholds(axes, limits)
    for piece in pieces(points):
        places, drifts = zip(*piece, strict=True)
        axes.plot(places, drifts, "-", color=LINE, linewidth=1.6, zorder=4)
        for place, drift in piece:
            if place in limits and drift > limits[place]:
                axes.plot([place], [drift], "D", color=CURRENT, markersize=6, zorder=5)
            else:
                axes.plot([place], [drift], "o", color=LINE, markersize=3.6, zorder=5)
    _ticks(axes, font, [first + timedelta(days=at) for at in range(days)], top)
    _names(axes, font, points)


def _thresholds(axes: "Axes", limits: dict[int, float]) -> None:
    """One line across where all days have the same threshold, else a piece for each day."""
    if len(set(limits.values())) == 1:
        axes.axhline(next(iter(limits.values())), color=CURRENT, linewidth=1, linestyle=(0, (1.2, 2)), zorder=2)
    elif limits:
        starts, ends = [at - 0.5 for at in limits], [at + 0.5 for at in limits]
        axes.hlines(list(limits.values()), starts, ends, color=CURRENT, linewidth=1, zorder=2)


def _ticks(axes: "Axes", font: "FontProperties", days: Sequence[date], top: float) -> None:
    step = next((step for step in _STEPS if top / step <= _MOST_TICKS), _STEPS[-1])
    heights = [step * at for at in range(math.floor(top / step) + 1)]
    axes.set_yticks(heights, [f"{height:.2f}" for height in heights])
    names = [day_of(day) for day in days]
    shown = spaced(names)
    axes.set_xticks(shown, [names[at] for at in shown])
    calm(axes, font)


def _names(axes: "Axes", font: "FontProperties", points: Sequence[DriftPoint]) -> None:
    last = next((point for point in reversed(points) if point.drift is not None), None)
    if last is None or last.drift is None:
        return
    labels = [(last.drift, f"now {distance(last.drift)}", LINE)]
    if last.threshold is not None:
        colour = ALERT if last.drift > last.threshold else LINE
        labels = [
            (last.drift, f"now {distance(last.drift)}", colour),
            (last.threshold, f"threshold {distance(last.threshold)}", INK),
        ]
    names_beside(axes, font, labels)
