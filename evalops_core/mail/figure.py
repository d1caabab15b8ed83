"""Points → the picture of the last runs, as a PNG.

What belongs here: drawing. What does not: which runs are shown (the letter's points), the words around the picture,
what it shares with that of a drift (figure_parts), how the library is started and a PNG made of a figure (canvas). The
current run differs from the others in colour and shape.
"""

# matplotlib's annotations leave parts of its functions unknown.
# pyright: reportUnknownMemberType=false

import contextlib
import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING

from evalops_core.domain.score import axis_bounds
from evalops_core.mail.canvas import blank
from evalops_core.mail.facts import Point
from evalops_core.mail.figure_parts import (
    ALERT,
    AREA,
    BAND,
    CURRENT,
    FAINT,
    HEIGHT,
    INK,
    LINE,
    WIDTH,
    calm,
    day_of,
    names_beside,
    spaced,
)
from evalops_core.mail.untrusted import one_line
from evalops_core.mail.wording import score

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.font_manager import FontProperties

MOST_POINTS = 40
_KEYS = ("%Y-%m-%d-%H:%M", "%Y-%m-%d")


def draw(points: Sequence[Point], reference: Decimal, threshold: Decimal) -> bytes:
    """A PNG of 1120 × 500 px: the scores of `points` (at least one, the oldest first) with their intervals.

    `reference` is the score that they are compared with; at `reference - threshold` a drop is an alert. Runs have the
    same distance whatever their windows; where windows are missing between two runs, no line joins them. The same
    arguments make the same bytes. ValueError without points.
    """
    if not points:
        raise ValueError("there is nothing to draw")
    with blank(WIDTH, HEIGHT) as canvas:
        axes = canvas.figure.add_axes(AREA)
        _draw(axes, canvas.font, points[-MOST_POINTS:], float(reference), float(reference - threshold))
        return canvas.png()


def pieces(windows: Sequence[str]) -> Sequence[range]:
    """The runs' indexes, cut where windows are missing: where two follow at more than the shortest distance of all.

    Windows that are no keys of a grid are never cut.
    """
    starts = [_start(window) for window in windows]
    if any(start is None for start in starts):
        return [range(len(windows))]
    known = [start for start in starts if start is not None]
    steps = [later - earlier for earlier, later in itertools.pairwise(known)]
    usual = min((step for step in steps if step > timedelta()), default=timedelta())
    cuts = [at for at, step in enumerate(steps, start=1) if step > usual]
    return [range(start, end) for start, end in zip([0, *cuts], [*cuts, len(windows)], strict=True)]


def _draw(axes: "Axes", font: "FontProperties", points: Sequence[Point], reference: float, threshold: float) -> None:
    intervals = [end for point in points for end in (point.ci_low, point.ci_high) if end is not None]
    low, high = axis_bounds([*(point.score for point in points), *intervals, reference, threshold])
    margin = (high - low) * 0.04  # so that no marker is cut at an end
    axes.set_ylim(low - margin, high + margin)
    axes.set_xlim(-0.5, max(len(points) - 0.5, 0.5))
    axes.axhline(reference, color=FAINT, linewidth=1, linestyle=(0, (5, 3)), zorder=2)
    axes.axhline(threshold, color=CURRENT, linewidth=1, linestyle=(0, (1.2, 2)), zorder=2)
    for piece in pieces([point.window for point in points]):
        _line(axes, points, piece)
    for at, point in enumerate(points):
        if point.current:
            axes.plot([at], [point.score], "D", color=CURRENT, markersize=7, markeredgecolor="white", zorder=6)
    _ticks(axes, font, points, low, high)
    shown = next((point for point in reversed(points) if point.current), points[-1])
    labels = [(reference, f"baseline {score(reference)}", INK), (threshold, f"threshold {score(threshold)}", ALERT)]
    labels.append(
        (shown.score, f"{'now' if shown.current else 'last'} {score(shown.score)}", ALERT if shown.current else LINE)
    )
    names_beside(axes, font, labels)


def _line(axes: "Axes", points: Sequence[Point], piece: range) -> None:
    axes.plot(piece, [points[at].score for at in piece], "-", color=LINE, linewidth=1.6, zorder=4)
    axes.plot(piece, [points[at].score for at in piece], "o", color=LINE, markersize=3.6, zorder=5)
    known: list[tuple[int, float, float]] = []
    for at in (*piece, None):
        point = points[at] if at is not None else None
        if at is not None and point is not None and point.ci_low is not None and point.ci_high is not None:
            known.append((at, point.ci_low, point.ci_high))
        elif known:
            indexes, lows, highs = zip(*known, strict=True)
            if len(known) > 1:
                axes.fill_between(indexes, lows, highs, color=BAND, alpha=0.3, linewidth=0, zorder=1)
            else:  # a band needs two runs; a single one's interval is a bar
                axes.vlines(indexes, lows, highs, color=BAND, linewidth=4, alpha=0.5, zorder=1)
            known = []


def _ticks(axes: "Axes", font: "FontProperties", points: Sequence[Point], low: float, high: float) -> None:
    halves = [half / 2 for half in range(round(low * 2), round(high * 2) + 1)]
    axes.set_yticks(halves, [f"{half:.1f}" for half in halves])
    names = [_short(point.window) for point in points]
    shown = spaced(names)
    axes.set_xticks(shown, [names[at] for at in shown])
    calm(axes, font)


def _start(window: str) -> datetime | None:
    for key in _KEYS:
        with contextlib.suppress(ValueError):
            return datetime.strptime(window, key).replace(tzinfo=timezone.utc)
    return None


def _short(window: str) -> str:
    """`24 Nov` or `24 Nov 06:00`; what is no key of a grid, cut."""
    start = _start(window)
    if start is None:
        return one_line(window, 12).encode("ascii", "replace").decode()  # the font lacks most scripts
    day = day_of(start)
    return f"{day} {start:%H:%M}" if len(window) > len("2026-11-24") else day
