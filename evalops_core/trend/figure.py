"""A series → an SVG that people read: scores with their intervals, interrupted where they must not be compared.

What belongs here: drawing at full size. What does not: what is shown (series), the small picture of Dagster's pages
(thumbnail), colours and elements (drawing).
"""

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

from evalops_core.trend.drawing import blank, circle, diamond, joined, name_all, shade, stroke, write
from evalops_core.trend.scale import Scale
from evalops_core.trend.series import Mark, Series

WIDTH, HEIGHT = 720, 230  # CSS pixels
_LEFT, _TOP, _RIGHT, _BOTTOM = 34, 26, 590, 196
_MOST_WINDOWS_NAMED = 6


def figure(series: Series, *, styled: bool = True) -> str:
    """The picture as one `<svg>` element of 720 × 230 px.

    `styled` gives it colours that are read on light and dark grounds; without, the page has `drawing.FIGURE_CSS`. Every
    run has a tooltip where the element stands in a page itself.
    """
    scale = Scale(series, _LEFT, _TOP, _RIGHT, _BOTTOM)
    svg = blank(WIDTH, HEIGHT, in_words(series), styled=styled)
    for first, last in series.incidents:
        _incident(svg, scale, first, last)
    _grid(svg, scale)
    for name, score in (("reference", series.reference), ("threshold", series.threshold)):
        if score is not None:
            stroke(svg, f"tf-{name}", scale.left, scale.y(score), scale.right, scale.y(score))
    for piece in series.pieces:
        _piece(svg, scale, piece)
    _breaks(svg, scale)
    _runs(svg, scale)
    _windows(svg, scale)
    _names(svg, scale)
    return tostring(svg, encoding="unicode")


def in_words(series: Series) -> str:
    """One sentence for those who do not see the picture."""
    last = series.marks[-1]
    runs = "1 scheduled run" if len(series.marks) == 1 else f"the last {len(series.marks)} scheduled runs"
    words = f"{series.feature}: {runs}, {last.score:.2f} in window {last.row.partition_key}"
    if last.row.delta is not None:
        words += f" ({last.row.delta:+.2f})"
    if series.reference is not None:
        words += f", compared with {series.reference:.2f}"
    if last.row.incident_id is not None:
        words += f", incident {last.row.incident_id} is open"
    return words


def _incident(svg: Element, scale: Scale[Series], first: int, last: int) -> None:
    shade(svg, scale.x(first - 0.5), scale.top, scale.x(last + 0.5), scale.bottom, "a regression was open")


def _grid(svg: Element, scale: Scale[Series]) -> None:
    low, high = scale.series.bounds
    step = 0.5 if high - low <= 2 else 1.0
    score = low
    while score <= high:
        stroke(svg, "tf-grid", scale.left, scale.y(score), scale.right, scale.y(score))
        write(svg, scale.left - 6, scale.y(score) + 4, f"{score:.1f}", anchor="end")
        score += step


def _piece(svg: Element, scale: Scale[Series], piece: Sequence[Mark]) -> None:
    for known in _with_intervals(piece):
        if len(known) == 1:  # a band needs two runs; a single one's interval is a bar
            (mark, low, high) = known[0]
            stroke(svg, "tf-bar", scale.x(mark.place), scale.y(low), scale.x(mark.place), scale.y(high))
        else:
            upper = [(scale.x(mark.place), scale.y(high)) for mark, _, high in known]
            lower = [(scale.x(mark.place), scale.y(low)) for mark, low, _ in reversed(known)]
            SubElement(svg, "path", {"class": "tf-band", "d": f"M{joined([*upper, *lower])}Z"})
    if len(piece) > 1:
        points = [(scale.x(mark.place), scale.y(mark.score)) for mark in piece]
        SubElement(svg, "path", {"class": "tf-line", "d": f"M{joined(points)}"})


def _with_intervals(piece: Sequence[Mark]) -> list[list[tuple[Mark, float, float]]]:
    """The piece's runs that have an interval, cut where one has none."""
    found: list[list[tuple[Mark, float, float]]] = [[]]
    for mark in piece:
        if mark.ci_low is not None and mark.ci_high is not None:
            found[-1].append((mark, mark.ci_low, mark.ci_high))
        elif found[-1]:
            found.append([])
    return [known for known in found if known]


def _runs(svg: Element, scale: Scale[Series]) -> None:
    """A dot a run, a diamond where it was judged as regressed."""
    radius = max(1.5, min(3.5, scale.step / 3))
    for mark in scale.series.marks:
        x, y = scale.x(mark.place), scale.y(mark.score)
        if mark.row.verdict == "regressed":
            shape = diamond(svg, "tf-low", x, y, radius + 2)
        else:
            shape = circle(svg, "tf-run", x, y, radius)
        SubElement(shape, "title").text = _of_run(mark)


def _of_run(mark: Mark) -> str:
    words = f"{mark.row.partition_key}: {mark.score:.3f}"
    if mark.ci_low is not None and mark.ci_high is not None:
        words += f" ({mark.ci_low:.2f} to {mark.ci_high:.2f})"
    if mark.row.delta is not None:
        words += f", {mark.row.delta:+.3f}"
    if mark.row.verdict is not None:
        words += f", {mark.row.verdict.replace('_', ' ')}"
    return f"{words}, eval run {mark.row.eval_run_id}"


def _breaks(svg: Element, scale: Scale[Series]) -> None:
    """A line before each run that was measured or made in another way; names give way where they would overlap."""
    free = -1e9
    for mark in scale.series.marks:
        if mark.changed is None:
            continue
        x = scale.x(mark.place - 0.5)
        line = stroke(svg, "tf-break", x, scale.top - 6, x, scale.bottom)
        SubElement(line, "title").text = f"from {mark.row.partition_key} on: {mark.changed} changed"
        width = 6.2 * len(mark.changed)  # about what 12 px letters take
        start = max(scale.left, min(x, WIDTH - width))
        if start > free:
            write(svg, start, scale.top - 12, mark.changed)
            free = start + width + 8


def _windows(svg: Element, scale: Scale[Series]) -> None:
    """Names of some windows, the newest in any case, none upon another."""
    marks = scale.series.marks
    every = max(1, -(-scale.series.places // _MOST_WINDOWS_NAMED))
    left, place = WIDTH, marks[-1].place + every
    for mark in reversed(marks):
        half = 3.4 * len(mark.row.partition_key)  # 12 px digits
        x = max(scale.left + half - 20, min(scale.x(mark.place), scale.right + 20 - half))
        if place - mark.place >= every and x + half + 8 < left:
            write(svg, x, scale.bottom + 20, mark.row.partition_key, anchor="middle")
            left, place = x - half, mark.place


def _names(svg: Element, scale: Scale[Series]) -> None:
    """What is named at the right, pushed apart so that all can be read."""
    series = scale.series
    last = series.marks[-1]
    names = [(scale.y(last.score), f"{last.score:.2f} now", "tf-now")]
    if series.reference is not None:
        names.append((scale.y(series.reference), f"{series.reference:.2f} reference", ""))
    if series.threshold is not None:
        names.append((scale.y(series.threshold), f"{series.threshold:.2f} alert", "tf-alert"))
    name_all(svg, scale.right + 10, scale.top, names)
