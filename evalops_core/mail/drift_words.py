"""A drift's facts in words, the same in HTML and in plain text.

What belongs here: those words. What does not: where they stand (templates), numbers' spelling (wording).
"""

from collections.abc import Sequence
from datetime import date

from evalops_core.mail.facts import DriftItem
from evalops_core.mail.untrusted import one_line
from evalops_core.mail.wording import counted

MEANING = (
    "What users ask has moved: it is farther from what they asked on the days before than the threshold allows. "
    "The score may still be fine; golden cases may no longer stand for what is asked."
)
KEPT_OUT = (
    "What was asked is kept out of this mail. It is shown where the suite has `drift: {include_texts: true}` and the "
    "feature’s mails may hold texts at all."
)
STEPS = (
    "Look at the prompts: is it a new use, another language, one customer, or abuse?",
    "Add cases like them to the suite, so that its score stands for what is asked now.",
)


def rows(item: DriftItem) -> Sequence[tuple[str, str | None]]:
    """What each fact is called, and its words; None where it is not known."""
    return (
        ("Day", item.day and f"{item.day} (UTC)"),
        ("Above in a row", None if item.days_in_a_row is None else counted(item.days_in_a_row, "day")),
        ("Sample", None if item.n is None else counted(item.n, "prompt")),
        ("Compared with", _days(item.baseline_days)),
        ("Embedding model", item.embedding_model and one_line(item.embedding_model, 100)),
        ("Rule", _rule(item)),
        ("Decided", one_line(item.why, 300) if item.why else None),
        ("Days", None if item.day else "their rows are gone, and what they were compared with is not known"),
    )


def _days(days: Sequence[date]) -> str | None:
    if not days:
        return None
    span = f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return f"{counted(len(days), 'good day')}, {span}"


def _rule(item: DriftItem) -> str | None:
    if item.rule is None:
        return None
    if item.rule == "fixed" or item.alpha is None:
        return "a fixed threshold"
    return f"a threshold learned from the feature: chance alone exceeds it on {item.alpha:.1%} of days"
