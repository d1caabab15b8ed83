"""A letter → its mail's HTML and plain text.

What belongs here: the templates' environment, and how much detail fits. What does not: the words and the look
(`templates/`), the picture (figure). HTML is escaped without exception: cases, answers and reasons are text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from jinja2 import Environment
from markupsafe import Markup, escape

from evalops_core.domain.mail import Image
from evalops_core.mail import drift_words, untrusted, wording
from evalops_core.mail.environment import html_environment
from evalops_core.mail.facts import DriftItem, Firing, Letter, RegressionItem, Reminder, Resolved

LONGEST_HTML = 95_000  # bytes; Gmail hides what comes after 102 kB


@dataclass(frozen=True, slots=True)
class Detail:
    """So many items in full, in each so many cases, of a text so many characters. Prompts of a drift count as cases."""

    items: int
    cases: int
    characters: int


# Richest first; the last fits whatever a letter holds.
MOST_ITEMS = 6
_DETAILS = (Detail(MOST_ITEMS, 5, 300), Detail(6, 3, 300), Detail(6, 3, 160), Detail(3, 3, 160), Detail(2, 1, 120))
_MOST_LISTED = 50
_NAMES: dict[type[Any], str] = {Firing: "firing", Resolved: "resolved", Reminder: "reminder"}


def body(letter: Letter, subject: str, images: Mapping[int, Image]) -> tuple[str, str]:
    """(HTML, plain text), both complete. `images` maps incidents to their pictures.

    A letter of many incidents, or of long texts, is told with less detail, so that mail readers show all of it.
    """
    for detail in _DETAILS[:-1]:
        html = _rendered("html", letter, subject, images, detail)
        if len(html.encode()) <= LONGEST_HTML:
            return html, _rendered("txt", letter, subject, images, detail)
    last = _DETAILS[-1]
    return _rendered("html", letter, subject, images, last), _rendered("txt", letter, subject, images, last)


def _rendered(kind: str, letter: Letter, subject: str, images: Mapping[int, Image], detail: Detail) -> str:
    name = _NAMES.get(type(letter), "test")
    firing = letter if isinstance(letter, Firing) else None
    items = firing.ordered if firing else getattr(letter, "items", ())
    today = letter.today if isinstance(letter, (Firing, Reminder)) else None
    return _ENVIRONMENT.get_template(f"{name}.{kind}.j2").render(
        subject=subject,
        items=items,
        listed=items[:_MOST_LISTED],
        counts=[len(kind) for kind in (firing.regressions, firing.drifted, firing.silent)] if firing else [],
        images=images,
        detail=detail,
        ui_url=letter.ui_url,
        until=wording.some_day(today),
    )


def _environment() -> Environment:
    environment = html_environment("evalops_core.mail")
    filters: dict[str, Any] = {
        "score": wording.score,
        "distance": wording.distance,
        "fall": wording.fall,
        "instant": wording.instant,
        "span": wording.span,
        "counted": wording.counted,
        "name": _name,
        "few": untrusted.few_lines,
        "breaks": _breaks,
        "quoted": _quoted,
        "link": _link,
        "drift_rows": drift_words.rows,
    }
    environment.filters.update(filters)
    tests: dict[str, Any] = {"regression": _is_regression, "drift": _is_drift}
    environment.tests.update(tests)
    said = {"meaning": drift_words.MEANING, "kept_out": drift_words.KEPT_OUT, "steps": drift_words.STEPS}
    cast("dict[str, Any]", environment.globals)["drift"] = (
        said  # which macros see, too; jinja2 knows its own types only
    )
    return environment


def _name(text: str, limit: int = 120) -> str:
    return untrusted.one_line(text, limit)


def _breaks(text: str) -> Markup:
    return Markup("<br>").join(escape(line) for line in text.split("\n"))


def _quoted(text: str) -> str:
    """Marked line by line, so that no text of a case is taken for the mail's own."""
    return "\n".join(f"      > {line}" for line in text.split("\n"))


def _link(url: str | None) -> str | None:
    """An address that may be followed, None for anything else."""
    return untrusted.one_line(url, 2000) if url is not None and url.startswith(("http://", "https://")) else None


def _is_regression(item: Any) -> bool:
    return isinstance(item, RegressionItem)


def _is_drift(item: Any) -> bool:
    return isinstance(item, DriftItem)


_ENVIRONMENT = _environment()
