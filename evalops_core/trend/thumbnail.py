"""A series → the small picture that Dagster's pages show without a click: Markdown of fewer than 1,000 characters.

What belongs here: drawing under that limit. What does not: the picture at full size (figure).

Dagster's UI (1.13, MetadataEntry) renders Markdown in place while it has fewer than 1,000 characters and hides longer
text behind a link, so the SVG goes percent-encoded into the image's address (base64 would take a third more), with
relative whole pixels, and shows as many of the newest runs as fit. Colours are read on the light and the dark theme.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from evalops_core.trend.scale import Scale
from evalops_core.trend.series import Mark, Series, series_of

LIMIT: Final = 1000
_LEFT, _TOP, _BOTTOM, _HEIGHT = 20, 8, 76, 84  # pixels
_WIDTH = 330  # of the runs
_STEP, _WIDE = 9, 20  # moves to the right have one digit where there are more runs than 20
_MOST_RUNS, _FEWEST_NAMED = 40, 24
_FONT = "style='font:11px sans-serif'"
_LINE, _ALERT = "#28c", "#d60"
_UNQUOTED = " !$&'()*+,-./:;=?@_~"  # what may stand between the <> of a Markdown address as it is


def thumbnail(series: Series) -> str:
    """Markdown with one image, of the newest runs that fit, at most 40; where many do, the newest break among them is
    named below it."""
    most = min(_MOST_RUNS, len(series.marks))
    for fewest, captioned in ((min(_FEWEST_NAMED, most), True), (1, False)):
        for runs in range(most, fewest - 1, -1):
            shown = _newest(series, runs)
            markdown = f"{image(f'{runs} runs', _svg(shown))}{_caption(shown) if captioned else ''}"
            if len(markdown) < LIMIT:
                return markdown
    raise AssertionError("one run always fits")


def image(words: str, svg: str) -> str:
    """Markdown with the picture itself in the image's address."""
    return f"![{words}](<data:image/svg+xml,{quote(svg, safe=_UNQUOTED)}>)"


def _newest(series: Series, runs: int) -> Series:
    """The newest `runs`, with the whole series' reference and threshold."""
    cut = series_of([mark.row for mark in reversed(series.marks[-runs:])], None)
    return replace(cut, reference=series.reference, threshold=series.threshold)


def _caption(series: Series) -> str:
    broken = [mark for mark in series.marks if mark.changed is not None]
    if not broken:
        return ""
    return f"\n\n┆ {broken[-1].changed} changed, {broken[-1].row.partition_key}"


def _svg(series: Series) -> str:
    step = _WIDTH // series.places if series.places <= _WIDE else _STEP
    right = _LEFT + step * series.places
    scale = Scale(series, _LEFT, _TOP, right, _BOTTOM)
    low, high = series.bounds
    last = series.marks[-1]
    parts = [f"<svg xmlns='http://www.w3.org/2000/svg' width='{right + 60}' height='{_HEIGHT}' fill='gray' {_FONT}>"]
    if series.incidents:
        spans = "".join(
            f"M{_x(scale, first - 0.5)} {_TOP}h{_x(scale, end + 0.5) - _x(scale, first - 0.5)}V{_BOTTOM}"
            f"H{_x(scale, first - 0.5)}z"
            for first, end in series.incidents
        )
        parts.append(f"<path d='{spans}' fill='{_ALERT}' opacity='.25'/>")
    parts.append("<g fill='none' stroke='gray'>")
    cuts = "".join(f"M{_x(scale, m.place - 0.5)} 2V{_BOTTOM}" for m in series.marks if m.changed is not None)
    level = "" if series.reference is None else f"M{_LEFT} {_y(scale, series.reference)}H{right}"
    if cuts or level:
        parts.append(f"<path d='{cuts}{level}' stroke-dasharray='4'/>")
    if series.threshold is not None:
        line = f"M{_LEFT} {_y(scale, series.threshold)}H{right}"
        parts.append(f"<path d='{line}' stroke='{_ALERT}' stroke-dasharray='1 3'/>")
    parts.append(f"<g stroke='{_LINE}'>")
    band = "".join(_band(scale, piece) for piece in series.pieces)
    if band:
        parts.append(f"<path d='{band}' fill='{_LINE}' stroke='none' opacity='.3'/>")
    # A line of no length with round ends is a dot: a run between two interruptions.
    line = "".join(relative_path([(_x(scale, m.place), _y(scale, m.score)) for m in piece]) for piece in series.pieces)
    parts.append(f"<path d='{line}' stroke-width='2' stroke-linecap='round'/></g></g>")
    x, y = _x(scale, last.place), _y(scale, last.score)
    colour = _ALERT if last.row.verdict == "regressed" else _LINE
    parts.append(f"<circle cx='{x}' cy='{y}' r='4' fill='{colour}'/>")
    parts.append(f"<text x='{right + 4}' y='{y + 4}'>{last.score:.2f}</text>")
    parts.append(f"<text y='{_TOP + 4}'>{high:g}</text><text y='{_BOTTOM + 4}'>{low:g}</text></svg>")
    return "".join(parts)


def _band(scale: Scale[Series], piece: Sequence[Mark]) -> str:
    """The intervals of a piece as one outline; runs without one narrow it to their score."""
    if all(mark.ci_low is None for mark in piece):
        return ""
    upper = [(_x(scale, m.place), _y(scale, m.score if m.ci_high is None else m.ci_high)) for m in piece]
    lower = [(_x(scale, m.place), _y(scale, m.score if m.ci_low is None else m.ci_low)) for m in reversed(piece)]
    if len(piece) == 1:
        ((x, top), (_, bottom)) = (*upper, *lower)
        return f"M{x - 2} {top}h4V{bottom}h-4z"
    return f"{relative_path([*upper, *lower])}z"


def relative_path(points: Sequence[tuple[int, int]]) -> str:
    """Relative moves of whole pixels, with no character that a parser can do without."""
    (x, y), *others = points
    path = f"M{x} {y}l"
    for number, (next_x, next_y) in enumerate(others or [(x, y)]):
        for at, move in enumerate((next_x - x, next_y - y)):
            path += str(move) if move < 0 or (number, at) == (0, 0) else f" {move}"
        x, y = next_x, next_y
    return path


def _x(scale: Scale[Series], place: float) -> int:
    return round(scale.x(place))


def _y(scale: Scale[Series], score: float) -> int:
    return round(scale.y(score))
