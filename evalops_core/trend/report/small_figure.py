"""A series → the small picture in the overview.

What belongs here: drawing at the height of a line. What does not: what is shown (series), the picture at full size
(trend.figure), whose style sheet gives the colours.
"""

from dataclasses import replace
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from evalops_core.trend.figure import in_words
from evalops_core.trend.scale import Scale
from evalops_core.trend.series import Series

WIDTH, HEIGHT = 140, 36  # CSS pixels
_EDGE = 5
SMALL_FIGURE_CSS: Final = """
.sp .sp-line{stroke:var(--tf-line);stroke-width:1.5;fill:none;stroke-linejoin:round;stroke-linecap:round}
.sp .sp-reference{stroke:var(--tf-ink);stroke-dasharray:3 3;opacity:.6}
.sp .sp-incident{fill:var(--tf-alert);fill-opacity:.2}
.sp .sp-now{fill:var(--tf-line)}
.sp .sp-low{fill:var(--tf-alert)}
"""


def small_figure(series: Series) -> str:
    """One `<svg>` element of 140 × 36 px. A run between two interruptions is a dot, a last one that regressed a
    diamond."""
    # without intervals, which would press the line flat
    plain = replace(series, marks=tuple(replace(mark, ci_low=None, ci_high=None) for mark in series.marks))
    scale = Scale(plain, _EDGE, _EDGE, WIDTH - _EDGE, HEIGHT - _EDGE)
    size = {"width": str(WIDTH), "height": str(HEIGHT), "viewBox": f"0 0 {WIDTH} {HEIGHT}"}
    svg = Element("svg", {**size, "class": "sp", "role": "img"})
    SubElement(svg, "title").text = in_words(series)
    for first, last in series.incidents:
        left, right = scale.x(first - 0.5), scale.x(last + 0.5)
        place = {"x": f"{left:.1f}", "y": "1", "width": f"{right - left:.1f}", "height": str(HEIGHT - 2)}
        SubElement(svg, "rect", {"class": "sp-incident", **place})
    if series.reference is not None:
        level = f"M{scale.left} {scale.y(series.reference):.1f}H{scale.right}"
        SubElement(svg, "path", {"class": "sp-reference", "d": level})
    for piece in series.pieces:
        points = [f"{scale.x(mark.place):.1f} {scale.y(mark.score):.1f}" for mark in piece]
        SubElement(svg, "path", {"class": "sp-line", "d": f"M{'L'.join(points)}{'h0' if len(points) == 1 else ''}"})
    newest = series.marks[-1]
    x, y = scale.x(newest.place), scale.y(newest.score)
    if newest.row.verdict == "regressed":
        SubElement(svg, "path", {"class": "sp-low", "d": f"M{x:.1f} {y - 4.5:.1f}l4.5 4.5l-4.5 4.5l-4.5-4.5Z"})
    else:
        SubElement(svg, "circle", {"class": "sp-now", "cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": "3"})
    return tostring(svg, encoding="unicode")
