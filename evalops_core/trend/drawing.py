"""What the pictures at full size share: colours that their readers can tell apart, and the elements of a drawing.

What belongs here: the style sheet, and elements at coordinates that are given. What does not: what is drawn (figure,
drift_figure). Colours are those of Okabe and Ito (2008), "Color Universal Design"; nothing is told by colour alone.
"""

from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element, SubElement

_LABELS_APART = 15  # pixels, so that two names at the right can both be read

# Read on white and on black alike, for whoever embeds the picture as an image, which knows nothing of the page's theme.
_BOTH = "--tf-ink:#7d858f;--tf-grid:#7d858f40;--tf-line:#2a8ac4;--tf-band:#2a8ac4;--tf-alert:#d9660f"
_SHAPES = """
.tf text{font:12px system-ui,sans-serif;fill:var(--tf-ink)}
.tf .tf-grid{stroke:var(--tf-grid)}
.tf .tf-line{stroke:var(--tf-line);stroke-width:2;fill:none;stroke-linejoin:round}
.tf .tf-run{fill:var(--tf-line)}
.tf .tf-band{fill:var(--tf-band);fill-opacity:.22;stroke:none}
.tf .tf-bar{stroke:var(--tf-band);stroke-opacity:.4;stroke-width:5}
.tf .tf-reference{stroke:var(--tf-ink);stroke-dasharray:6 4}
.tf .tf-threshold{stroke:var(--tf-alert);stroke-dasharray:2 3;fill:none}
.tf .tf-incident{fill:var(--tf-alert);fill-opacity:.16}
.tf .tf-low{fill:var(--tf-alert)}
.tf .tf-hollow{stroke:var(--tf-ink);stroke-width:1.5;fill:none;pointer-events:all}
.tf .tf-break{stroke:var(--tf-ink);stroke-dasharray:1 3}
.tf text.tf-now{font-weight:600;fill:var(--tf-line)}
.tf text.tf-alert{fill:var(--tf-alert)}
"""
FIGURE_CSS: Final = f"""
:root{{--tf-ink:#57606a;--tf-grid:#57606a2e;--tf-line:#0072b2;--tf-band:#0072b2;--tf-alert:#b34700}}
@media (prefers-color-scheme:dark){{:root{{--tf-ink:#a9b1bb;--tf-grid:#a9b1bb2e;--tf-line:#56b4e9;--tf-band:#56b4e9;--tf-alert:#ff9a4d}}}}
{_SHAPES}"""  # noqa: E501  # a style sheet
"""What a page that holds figures drawn with `styled=False` needs once: light and dark as its reader's system is."""


def blank(width: int, height: int, words: str, *, styled: bool) -> Element:
    """The `<svg>`, `words` being said in its place to those who do not see it."""
    size = {"width": str(width), "height": str(height), "viewBox": f"0 0 {width} {height}"}
    svg = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, "class": "tf", "role": "img"})
    SubElement(svg, "title").text = words
    if styled:
        SubElement(svg, "style").text = f".tf{{{_BOTH}}}{_SHAPES}"
    return svg


def shade(svg: Element, left: float, top: float, right: float, bottom: float, words: str) -> None:
    """The time of an incident; `words` are its tooltip."""
    place = {"x": _n(left), "y": _n(top), "width": _n(right - left), "height": _n(bottom - top)}
    box = SubElement(svg, "rect", {"class": "tf-incident", **place})
    SubElement(box, "title").text = words


def stroke(svg: Element, kind: str, x1: float, y1: float, x2: float, y2: float) -> Element:
    return SubElement(svg, "path", {"class": kind, "d": f"M{joined([(x1, y1), (x2, y2)])}"})


def circle(svg: Element, kind: str, x: float, y: float, radius: float) -> Element:
    return SubElement(svg, "circle", {"class": kind, "cx": _n(x), "cy": _n(y), "r": _n(radius)})


def diamond(svg: Element, kind: str, x: float, y: float, size: float) -> Element:
    """`size` is from its middle to a corner."""
    shape = f"M{_n(x)} {_n(y - size)}l{_n(size)} {_n(size)}l{_n(-size)} {_n(size)}l{_n(-size)} {_n(-size)}Z"
    return SubElement(svg, "path", {"class": kind, "d": shape})


def square(svg: Element, kind: str, x: float, y: float, size: float) -> Element:
    """`size` is from its middle to a side."""
    place = {"x": _n(x - size), "y": _n(y - size), "width": _n(2 * size), "height": _n(2 * size)}
    return SubElement(svg, "rect", {"class": kind, **place})


def write(svg: Element, x: float, y: float, words: str, *, anchor: str = "", kind: str = "") -> None:
    more = ({"text-anchor": anchor} if anchor else {}) | ({"class": kind} if kind else {})
    SubElement(svg, "text", {"x": _n(x), "y": _n(y), **more}).text = words


def name_all(svg: Element, x: float, top: float, names: Sequence[tuple[float, str, str]]) -> None:
    """Words of a kind beside their heights, `top` or lower, pushed apart so that all can be read."""
    lowest = top
    for y, words, kind in sorted(names):
        lowest = max(lowest, y)
        write(svg, x, lowest + 4, words, kind=kind)
        lowest += _LABELS_APART


def joined(points: Sequence[tuple[float, float]]) -> str:
    return "L".join(f"{_n(x)} {_n(y)}" for x, y in points)


def _n(value: float) -> str:
    """Tenths of a pixel are finer than anybody sees."""
    return f"{value:.1f}".removesuffix(".0")
