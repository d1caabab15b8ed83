"""What a check found, and what all findings together come to.

What belongs here: the value, and its words for each status. What does not: any check.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`seen` is a sentence of what was found, `mend` one of what to do about it, None where there is nothing to do."""

    name: str
    status: Status
    seen: str
    mend: str | None = None


def ok(name: str, seen: str) -> Finding:
    return Finding(name, "ok", seen)


def warning(name: str, seen: str, mend: str) -> Finding:
    """Evaluating goes on, but not as somebody may think."""
    return Finding(name, "warning", seen, mend)


def failed(name: str, seen: str, mend: str) -> Finding:
    """Something does not work."""
    return Finding(name, "failed", seen, mend)


def skipped(name: str, seen: str, mend: str | None = None) -> Finding:
    """Nothing was looked at: it is not in use, or what it needs failed."""
    return Finding(name, "skipped", seen, mend)


def is_healthy(findings: Sequence[Finding], *, strict: bool = False) -> bool:
    """Whether nothing failed, and with `strict` nothing is to be warned of either."""
    bad = {"failed", "warning"} if strict else {"failed"}
    return not any(found.status in bad for found in findings)
