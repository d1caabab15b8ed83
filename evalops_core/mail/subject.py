"""A letter → its mail's subject.

What belongs here: what one line can say. What does not: everything else. It is safe as a header whatever a model calls
itself: no line breaks, no control characters, bounded.
"""

from collections.abc import Sequence

from evalops_core.mail.facts import (
    DriftItem,
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
from evalops_core.mail.wording import distance, fall, instant, score, span

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
    """The worst kind in full, the features of the others by name."""
    if letter.regressions:
        said = [_fallen(letter.regressions), _others("drift", letter.drifted), _others("no data", letter.silent)]
    elif letter.drifted:
        said = [_moved(letter.drifted), _others("no data", letter.silent)]
    else:
        said = [_silent(letter.silent)]
    return "; ".join(part for part in said if part)


def _others(kind: str, items: Sequence[DriftItem | NoDataItem]) -> str:
    names = _listed([one_line(item.feature, 40) for item in items], 30)
    return f"{kind}: {names}" if names else ""


def _fallen(items: Sequence[RegressionItem]) -> str:
    if len(items) == 1:
        (item,) = items
        change = f"{score(item.reference)} → {score(item.current)}, {fall(item.drop)}"
        return f"Eval regression: {_named(item.feature, item.model_id)} {change}"
    named = [f"{one_line(item.feature, 40)} {fall(item.drop)}" for item in items]
    features = len({item.feature for item in items})
    where = "in 1 feature" if features == 1 else f"in {features} features"
    return f"Eval regression {where}: {_listed(named)}"


def _moved(items: Sequence[DriftItem]) -> str:
    if len(items) == 1:
        (item,) = items
        limit = f" (threshold {distance(item.threshold)})" if item.threshold is not None else ""
        return f"Input drift: {_drifted(item, 60)}{limit}"
    features = len({item.feature for item in items})
    where = "in 1 feature" if features == 1 else f"in {features} features"
    return f"Input drift {where}: {_listed([_drifted(item, 40) for item in items])}"


def _drifted(item: DriftItem, limit: int) -> str:
    name = one_line(item.feature, limit)
    return f"{name} {distance(item.drift)}" if item.drift is not None else name


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
    if item.kind == "drift":
        drift = f" (drift {distance(item.drift)})" if item.drift is not None else ""
        return f"Resolved: {name} is asked as before again{drift}"
    return f"Resolved: {name} is back at {score(item.current)}" if item.current is not None else f"Resolved: {name}"


def _reminder(items: Sequence[ReminderItem]) -> str:
    if len(items) > 1:
        return f"Still open: {_listed([one_line(item.feature, 40) for item in items])}"
    (item,) = items
    name = _named(item.feature, item.model_id)
    if item.kind == "no_data":
        return f"Still open: {name} has no eval data since {instant(item.opened_at)}"
    if item.kind == "drift":
        drift = f" {distance(item.drift)}" if item.drift is not None else ""
        return f"Still open: {name} input drift{drift}"
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
