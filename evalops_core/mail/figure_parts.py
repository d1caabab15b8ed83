"""What the mails' pictures have in common: size, colours, the names at their right, their ticks.

What belongs here: those. What does not: what is drawn (figure, drift_figure). Colours are those of Okabe and Ito
(2008), "Color Universal Design". A picture brings its own background, which is read on light and dark mails alike.
"""

# matplotlib's annotations leave parts of its functions unknown.
# pyright: reportUnknownMemberType=false

import math
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.font_manager import FontProperties

WIDTH, HEIGHT = 560, 250  # CSS pixels
AREA = (0.08, 0.155, 0.645, 0.80)  # of the axes in the picture: left, bottom, width, height
LINE, BAND, CURRENT = "#0072B2", "#56B4E9", "#D55E00"
INK, FAINT, GRID, ALERT = "#30363d", "#6a737d", "#e7eaee", "#B34700"  # ALERT: CURRENT, dark enough for small text
_LABEL_ROOM = 40  # characters that fit below the picture
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def day_of(day: date) -> str:
    """`24 Nov`; strftime would follow the machine's language."""
    return f"{day.day} {_MONTHS[day.month - 1]}"


def spaced(names: Sequence[str]) -> Sequence[int]:
    """Which of the names fit below the picture, at the same distance; the last one in any case."""
    most = max(1, _LABEL_ROOM // (max(map(len, names)) + 2))
    return range(len(names) - 1, -1, -max(1, math.ceil(len(names) / most)))


def calm(axes: "Axes", font: "FontProperties") -> None:
    """Small grey names of the ticks, lines across, and no frame."""
    for text in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        text.set(fontproperties=font, color=FAINT, parse_math=False)
    axes.tick_params(length=0, pad=5)
    axes.grid(visible=True, axis="y", color=GRID, linewidth=0.8, zorder=0)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


def names_beside(axes: "Axes", font: "FontProperties", labels: Sequence[tuple[float, str, str]]) -> None:
    """Names at the right of what they name, pushed apart so that all can be read."""
    bottom, top = axes.get_ylim()
    distance = (top - bottom) * 0.11
    ordered = sorted(labels, key=lambda label: label[0])
    heights = [value for value, _, _ in ordered]
    for _ in range(20):
        for at in range(len(heights) - 1):
            overlap = distance - (heights[at + 1] - heights[at])
            if overlap > 1e-9:
                heights[at], heights[at + 1] = heights[at] - overlap / 2, heights[at + 1] + overlap / 2
    lift = max(0.0, bottom - heights[0])  # none below the axis's end
    for height, (_, name, color) in zip(heights, ordered, strict=True):
        axes.text(
            1.015, height + lift, name, color=color, fontproperties=font, va="center", ha="left",
            transform=axes.get_yaxis_transform(), parse_math=False,
        )  # fmt: skip
