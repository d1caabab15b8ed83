"""The report's facts → one HTML page that needs nothing else.

What belongs here: the templates' environment and what they are given. What does not: the look (the files beside this
one), the facts (collect). Everything is escaped without exception; pictures are the only markup that comes from
elsewhere, and those that draw them escape theirs. The page's policy names its scripts by their hashes, so that nothing
else could run even if it came in.
"""

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from evalops_core.domain.drift.day import DriftDay
from evalops_core.mail import untrusted, wording
from evalops_core.mail.environment import html_environment
from evalops_core.run import comparison_words
from evalops_core.trend.drawing import FIGURE_CSS
from evalops_core.trend.drift_figure import drift_figure
from evalops_core.trend.figure import figure
from evalops_core.trend.report import words
from evalops_core.trend.report.collect import RUNS_LISTED
from evalops_core.trend.report.facts import Report
from evalops_core.trend.report.payload import payloads
from evalops_core.trend.report.small_figure import SMALL_FIGURE_CSS, small_figure
from evalops_core.trend.series import Series

_HERE = files("evalops_core.trend.report")


def page(report: Report) -> str:
    """The whole page; about 40 KB, and what runs and the cases' texts take."""
    scripts = [(_HERE / name).read_text(encoding="utf-8") for name in ("show.js", "report.js")]
    styles = FIGURE_CSS + SMALL_FIGURE_CSS + (_HERE / "report.css").read_text(encoding="utf-8")
    documents = {name: Markup(text) for name, text in payloads(report.tables).items()}  # noqa: S704  # escaped there
    return _ENVIRONMENT.get_template("template.html.j2").render(
        report=report,
        listed=RUNS_LISTED,
        payloads=documents,
        scripts={_hash(script): Markup(script) for script in scripts},  # noqa: S704  # ours
        styles=Markup(styles),  # noqa: S704  # ours
    )


def _hash(script: str) -> str:
    """As a Content-Security-Policy names a script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _environment() -> Environment:
    environment = html_environment("evalops_core.trend.report", ".")
    filters: dict[str, Any] = {
        "number": words.number,
        "signed": words.signed,
        "direction": words.direction,
        "money": words.money,
        "percent": words.percent,
        "outcome": words.outcome,
        "rule": comparison_words.rule_of,
        "interval": words.interval,
        "p_value": comparison_words.p_of,
        "changed": comparison_words.changes_of,
        "few": comparison_words.few,
        "side": words.side,
        "judged_by": words.judged_by,
        "incident": words.incident,
        "newest": words.newest,
        "drift_state": words.drift_state,
        "instant": wording.instant,
        "counted": wording.counted,
        "line": _line,
        "figure": _figure,
        "small_figure": _small_figure,
        "drift_figure": _drift_figure,
    }
    environment.filters.update(filters)
    return environment


def _line(text: str, limit: int = 300) -> str:
    return untrusted.one_line(text, limit)


def _figure(series: Series) -> Markup:
    return Markup(figure(series, styled=False))  # noqa: S704  # escaped by trend.figure


def _small_figure(series: Series) -> Markup:
    return Markup(small_figure(series))  # noqa: S704  # escaped by small_figure


def _drift_figure(days: Sequence[DriftDay]) -> Markup:
    return Markup(drift_figure(days, styled=False))  # noqa: S704  # escaped by trend.drift_figure


_ENVIRONMENT = _environment()
