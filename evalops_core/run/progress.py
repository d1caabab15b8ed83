"""How far a stage is, for people who wait for it.

What belongs here: counting, rate and remaining time. What does not: where it is shown; a `Report` is a log line in
Dagster and a bar on a terminal.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` after `elapsed_s`, of which `resumed` were found done at the start, `failed` have no result."""

    stage: str
    done: int
    total: int
    resumed: int
    failed: int
    elapsed_s: float

    @property
    def rate(self) -> float | None:
        """Results a second, of those made now; None before the first."""
        made = self.done - self.resumed
        return made / self.elapsed_s if made > 0 and self.elapsed_s > 0 else None

    @property
    def remaining_s(self) -> float | None:
        return (self.total - self.done) / self.rate if self.rate else None

    def __str__(self) -> str:
        parts = [f"{self.stage}: {self.done} of {self.total}"]
        if self.resumed:
            parts.append(f"{self.resumed} of them from before")
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self.rate:
            parts.append(f"{self.rate:.1f}/s")
        if self.remaining_s and self.done < self.total:
            parts.append(f"about {self.remaining_s:.0f} s to go")
        return ", ".join(parts)


class Report(Protocol):
    """Told of progress; must return quickly."""

    def __call__(self, progress: Progress, /) -> None: ...


def silent(_: Progress, /) -> None:
    """Nobody is watching."""


def sparing(write: Callable[[str], object], every_s: float = 10.0, share: float = 0.1) -> Report:
    """A report that writes a line when a stage starts and ends, and in between at each tenth or `every_s` seconds.

    A Dagster log line costs up to 60 ms, so a line a case would dominate the run.
    """
    shown_at, shown_done, shown_stage = 0.0, 0, ""

    def report(progress: Progress) -> None:
        nonlocal shown_at, shown_done, shown_stage
        now = time.monotonic()
        first = progress.stage != shown_stage
        stepped = progress.done - shown_done >= share * progress.total and now - shown_at >= 1.0
        last = progress.done == progress.total and progress.done != shown_done
        if first or last or stepped or now - shown_at >= every_s:
            shown_at, shown_done, shown_stage = now, progress.done, progress.stage
            write(str(progress))

    return report
