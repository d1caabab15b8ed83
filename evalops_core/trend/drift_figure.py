"""Days of drift → an SVG that people read: how far each day's inputs are from the days before, and how far they may be.

What belongs here: drawing at full size. What does not: what is joined and shaded (drift_series), the small picture of
Dagster's pages (drift_thumbnail), colours and elements (drawing).
"""

from collections.abc import Sequence
from datetime import timedelta
from xml.etree.ElementTree import Element, SubElement, tostring

from evalops_core.domain.drift.day import DriftDay
from evalops_core.trend.drawing import blank, circle, diamond, joined, name_all, shade, square, stroke, write
from evalops_core.trend.drift_series import DriftSeries, drift_series, in_words, is_breach, of_day, of_incident
from evalops_core.trend.scale import Scale

WIDTH, HEIGHT = 720, 230  # CSS pixels
_LEFT, _TOP, _RIGHT, _BOTTOM = 40, 26, 590, 190
_BELOW = 8  # pixels under the axis, where no mark can be taken for a drift of 0
_MOST_DAYS_NAMED = 6
_HALF_A_DAY_S_NAME = 34  # pixels, 10 digits of 12 px


def drift_figure(days: Sequence[DriftDay], *, styled: bool = True) -> str:
    """The picture of one feature's days, in any order, as one `<svg>` element of 720 × 230 px.

    Every day of the calendar has its place: one without a row stays empty. `styled` is as for `figure`. ValueError for
    no days, and for those of several features.
    """
    series = drift_series(days)
    scale = Scale(series, _LEFT, _TOP, _RIGHT, _BOTTOM)
    svg = blank(WIDTH, HEIGHT, in_words(series), styled=styled)
    for first, last in series.incidents:
        left, right = scale.x(series.place(first) - 0.5), scale.x(series.place(last) + 0.5)
        shade(svg, left, scale.top, right, scale.bottom, of_incident(last))
    _grid(svg, scale)
    for piece in series.limited:
        SubElement(svg, "path", {"class": "tf-threshold", "d": f"M{joined(_steps(scale, piece))}"})
    for piece in series.compared:
        if len(piece) > 1:
            points = [(scale.x(series.place(day)), scale.y(day.drift)) for day in piece if day.drift is not None]
            SubElement(svg, "path", {"class": "tf-line", "d": f"M{joined(points)}"})
    for day in series.days:
        SubElement(_mark(svg, scale, day), "title").text = of_day(day)
    _key(svg, series)
    _calendar(svg, scale)
    _names(svg, scale)
    return tostring(svg, encoding="unicode")


def _grid(svg: Element, scale: Scale[DriftSeries]) -> None:
    ticks = scale.series.ticks
    digits = next(digits for digits in (1, 2, 3, 4) if abs(round(ticks[1], digits) - ticks[1]) < 1e-6)
    for drift in ticks:
        stroke(svg, "tf-grid", scale.left, scale.y(drift), scale.right, scale.y(drift))
        write(svg, scale.left - 6, scale.y(drift) + 4, f"{drift:.{digits}f}", anchor="end")


def _steps(scale: Scale[DriftSeries], piece: Sequence[DriftDay]) -> list[tuple[float, float]]:
    """Each day's own threshold over the whole of its day."""
    found: list[tuple[float, float]] = []
    for day in piece:
        if day.threshold is None:
            continue
        place, y = scale.series.place(day), scale.y(day.threshold)
        found += [(scale.x(place - 0.5), y), (scale.x(place + 0.5), y)]
    return found


def _mark(svg: Element, scale: Scale[DriftSeries], day: DriftDay) -> Element:
    """A dot where a drift is within its threshold, a diamond where it is above; below the axis, hollow, what has none:
    a circle for a day of the baseline, a square for one that says nothing."""
    radius = max(1.5, min(3.5, scale.step / 3))
    x = scale.x(scale.series.place(day))
    if day.drift is None:
        shape = circle if day.state == "baseline" else square
        return shape(svg, "tf-hollow", x, scale.bottom + _BELOW, radius)
    y = scale.y(day.drift)
    return diamond(svg, "tf-low", x, y, radius + 2) if is_breach(day) else circle(svg, "tf-run", x, y, radius)


def _key(svg: Element, series: DriftSeries) -> None:
    """What the shapes mean, of those that occur."""
    names = {
        "◆ above the threshold": any(is_breach(day) for day in series.days),
        "○ first days, nothing to compare": any(day.state == "baseline" for day in series.days),
        "□ too few traces": any(day.state == "insufficient" for day in series.days),
        "□ not decided yet": any(day.state is None for day in series.days),
    }
    words = "\u2003".join(name for name, occurs in names.items() if occurs)
    if words:
        write(svg, _LEFT, _TOP - 12, words)


def _calendar(svg: Element, scale: Scale[DriftSeries]) -> None:
    """Names of some days, the newest in any case, whether anything is known of them or not."""
    last = scale.series.places - 1
    every = -(-scale.series.places // _MOST_DAYS_NAMED)
    left = float(WIDTH)
    for place in range(last, -1, -every):
        lowest, highest = scale.left + _HALF_A_DAY_S_NAME - 20, scale.right + 20 - _HALF_A_DAY_S_NAME
        x = max(lowest, min(scale.x(place), highest))
        if x + _HALF_A_DAY_S_NAME + 8 < left:
            name = f"{scale.series.days[0].day + timedelta(days=place)}"
            write(svg, x, scale.bottom + 28, name, anchor="middle")
            left = x - _HALF_A_DAY_S_NAME


def _names(svg: Element, scale: Scale[DriftSeries]) -> None:
    last = scale.series.last_compared
    if last is None or last.drift is None:
        return
    when = "now" if last is scale.series.days[-1] else f"on {last.day:%m-%d}"
    names = [(scale.y(last.drift), f"{last.drift:.3f} {when}", "tf-now")]
    if last.threshold is not None:
        names.append((scale.y(last.threshold), f"{last.threshold:.3f} threshold", "tf-alert"))
    name_all(svg, scale.right + 10, scale.top, names)
