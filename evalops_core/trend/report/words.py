"""Numbers, outcomes and states as the report spells them.

What belongs here: spelling, the same everywhere in the page. What does not: sentences around it (templates). A number
that does not exist is never spelt; the templates say why in its place.
"""

from decimal import Decimal
from typing import Final

from evalops_core.domain.drift.day import DriftDay
from evalops_core.domain.eval_run import EvalRun
from evalops_core.domain.incident import Incident
from evalops_core.domain.regression.sample import Assessment
from evalops_core.mail.wording import MINUS, instant
from evalops_core.run.compare import Side
from evalops_core.trend.report.facts import FeatureFacts

# A sign beside each word, so that nothing is told by colour alone.
_OUTCOMES: Final = {
    "regressed": ("▼", "regressed"),
    "stable": ("■", "stable"),
    "improved": ("▲", "improved"),
    "inconclusive": ("◇", "inconclusive"),
    "not_comparable": ("×", "not comparable"),
    "no_baseline": ("○", "no baseline"),
}
_DRIFT: Final = {
    "ok": ("■", "ok"),
    "warning": ("◆", "warning"),
    "alerting": ("▼", "alerting"),
    "baseline": ("○", "baseline"),
    "insufficient": ("□", "too few traces"),
}


def number(value: Decimal | float, digits: int = 2) -> str:
    return f"{value:.{digits}f}".replace("-", MINUS)


def signed(value: Decimal | float, digits: int = 2) -> str:
    """`+0.10`, `−0.45`; what rounds to nothing has no sign."""
    rounded = round(float(value), digits) + 0.0
    return f"{rounded:+.{digits}f}".replace("-", MINUS) if rounded else f"{0:.{digits}f}"


def direction(value: Decimal | float, digits: int = 2) -> str:
    """`down`, `up` or `same`, of what `signed` shows."""
    rounded = round(float(value), digits)
    return "down" if rounded < 0 else "up" if rounded > 0 else "same"


def money(value: Decimal) -> str:
    return f"${value:.4f}"


def percent(value: float) -> str:
    """Rounded down, so that what is not complete never reads 100 %."""
    return f"{int(value * 1000 + 1e-6) / 10:g} %"


def outcome(name: str) -> tuple[str, str]:
    """A verdict's sign and word."""
    return _OUTCOMES.get(name, ("◇", name.replace("_", " ")))


def drift_state(day: DriftDay) -> tuple[str, str]:
    """The sign and word of what a day's inputs came to."""
    return _DRIFT[day.state] if day.state is not None else ("□", "not decided yet")


def interval(found: Assessment) -> str | None:
    """Of the change, so that a fall is negative as everywhere in the page."""
    if found.ci_low is None or found.ci_high is None:
        return None
    return f"{signed(-found.ci_high, 3)} to {signed(-found.ci_low, 3)}"


def side(of: Side) -> str:
    """The run and how it came to be meant."""
    window = f", window {of.run.partition_key}, {of.run.run_type}" if of.run is not None else ""
    return f"{of.name}{window}{f' ({of.chosen})' if of.chosen else ''}"


def judged_by(run: EvalRun) -> str:
    return run.judge_model_id or run.comparability.judge or "rules, no judge"


def incident(of: Incident) -> str:
    """One sentence about an open incident."""
    if of.kind == "no_data":
        what = "no valid run has come"
    elif of.kind == "drift":
        what = "input drift, what users ask has moved"
    elif of.reference is not None and of.current is not None:
        what = f"{of.kind.replace('_', ' ')}, {number(of.reference)} → {number(of.current)}"
    else:
        what = of.kind.replace("_", " ")
    quiet = f", silenced until {instant(of.silenced_until)}" if of.silenced_until and of.state == "silenced" else ""
    by = f", {of.acknowledged_by or 'somebody'} is on it" if of.acknowledged_at else ""
    model = f" with {of.model_id}" if of.model_id else ""
    return f"Incident {of.id}{model} since {instant(of.opened_at)}: {what}{quiet}{by}"


def newest(feature: FeatureFacts) -> str | None:
    """What became of the run begun last, where it is not the one shown and is not in order; None otherwise."""
    run, shown = feature.newest, feature.last and feature.last.run
    if run is None or run.status == "completed" or (shown is not None and run.id <= shown.id):
        return None
    reason = f": {run.status_reason}" if run.status_reason else ""
    return f"The newest run, {run.id} of window {run.partition_key} ({run.run_type}), is {run.status}{reason}"
