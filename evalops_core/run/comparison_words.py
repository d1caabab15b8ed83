"""What a comparison found, in the words that every page and terminal uses.

What belongs here: words that are the same wherever they stand. What does not: how they are set (compare_view,
compare_markdown and the report have numbers and headings of their own).
"""

from collections.abc import Sequence
from typing import Final

from evalops_core.domain.regression.sample import Assessment
from evalops_core.run.compare import Comparison

_RULES: Final = {
    "paired": "paired sign-flip test (rule B)",
    "fixed_drop": "fixed drop (rule A)",
    "history": "noise learned from earlier runs (rule C)",
    "cusum": "sum over runs (rule D)",
}
_NAMED = 20  # ids of cases that a person is shown


def rule_of(said: Assessment) -> str | None:
    return None if said.rule is None else _RULES[said.rule]


def p_of(said: Assessment) -> str | None:
    return None if said.p_value is None else f"{said.p_value:.2g}, one-sided, for a fall"


def changes_of(found: Comparison) -> str:
    """What else is different between the two runs."""
    if found.changed is None:
        return "unknown of a file; its scores are taken to be measured as the other's"
    before, after = found.baseline.run, found.candidate.run
    shas = (before and before.git_sha, after and after.git_sha)
    moved = [f"the commit changed ({shas[0] or 'none'} → {shas[1] or 'none'})"] if shas[0] != shas[1] else []
    return "; ".join([*found.changed, *moved]) or "nothing that is recorded"


def few(ids: Sequence[str]) -> str | None:
    """How many, and the first of them; None where there is none."""
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return f"{len(ids)}: {', '.join(ids[:_NAMED])}{more}" if ids else None
