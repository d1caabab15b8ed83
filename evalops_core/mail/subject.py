"""A letter → its mail's subject.

What belongs here: what one line can say. What does not: everything else. It is safe as a header whatever a model calls
itself: no line breaks, no control characters, bounded.
"""

from collections.abc import Sequence

from evalops_core.mail.facts import (
    Firing,
    Letter,
    NoDataItem,
    RegressionItem,
    Reminder,
    ReminderItem,
    Resolved,
    ResolvedItem,
)
from evalops_core.mail.untrusted import one_line
from evalops_core.mail.wording import fall, instant, score, span

LONGEST_SUBJECT = 150
_PREFIX = "[EvalOps] "


def subject(letter: Letter) -> str:
    """One line of at most `LONGEST_SUBJECT` characters that starts with `[EvalOps] `."""
    if isinstance(letter, Firing):
        said = _firing(letter)
    elif isinstance(letter, Resolved):
        said = _resolved(letter.items)
    elif isinstance(letter, Reminder):
        said = _reminder(letter.items)
    else:
        said = "Test mail"
    return one_line(_PREFIX + said, LONGEST_SUBJECT)


def _firing(letter: Firing) -> str:
    if not letter.regressions:
        return _silent(letter.silent)
    fallen = _fallen(letter.regressions)
    silent = _listed([one_line(item.feature, 40) for item in letter.silent], 30)
    return f"{fallen}; no data: {silent}" if silent else fallen


def _fallen(items: Sequence[RegressionItem]) -> str:
    if len(items) == 1:
        (item,) = items
        change = f"{score(item.reference)} → {score(item.current)}, {fall(item.drop)}"
        return f"Eval regression: {_named(item.feature, item.model_id)} {change}"
    named = [f"{one_line(item.feature, 40)} {fall(item.drop)}" for item in items]
    features = len({item.feature for item in items})
    where = "in 1 feature" if features == 1 else f"in {features} features"
    return f"Eval regression {where}: {_listed(named)}"


def _silent(items: Sequence[NoDataItem]) -> str:
    if len(items) == 1:
        (item,) = items
        return f"No eval data: {one_line(item.feature, 60)} ({_silence(item)})"
    return f"No eval data: {_listed([one_line(item.feature, 40) for item in items])}"


def _silence(item: NoDataItem) -> str:
    since = item.last_valid_at or item.watched_since
    return f"nothing valid for {span(item.as_of - since)}" if item.as_of else f"nothing valid since {instant(since)}"


def _resolved(items: Sequence[ResolvedItem]) -> str:
    if len(items) > 1:
        return f"Resolved: {_listed([one_line(item.feature, 40) for item in items])}"
    (item,) = items
    name = _named(item.feature, item.model_id)
    if item.kind == "no_data":
        return f"Resolved: {name} has eval data again"
    return f"Resolved: {name} is back at {score(item.current)}" if item.current is not None else f"Resolved: {name}"


def _reminder(items: Sequence[ReminderItem]) -> str:
    if len(items) > 1:
        return f"Still open: {_listed([one_line(item.feature, 40) for item in items])}"
    (item,) = items
    name = _named(item.feature, item.model_id)
    if item.kind == "no_data":
        return f"Still open: {name} has no eval data since {instant(item.opened_at)}"
    if item.reference is None or item.current is None:
        return f"Still open: {name}"
    return f"Still open: {name} {score(item.reference)} → {score(item.current)}"


def _named(feature: str, model_id: str | None) -> str:
    shown = one_line(feature, 60)
    return f"{shown} ({one_line(model_id, 50)})" if model_id else shown


def _listed(names: Sequence[str], limit: int = 70) -> str:
    """As many names as fit, at least one, and `…` if that is not all."""
    kept: list[str] = []
    for name in names:
        if sum(map(len, kept)) + len(name) > limit and kept:
            return ", ".join([*kept, "…"])
        kept.append(name)
    return ", ".join(kept)
