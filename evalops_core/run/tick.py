"""What a tick of the schedule should start, and for everything else why not, in words that people read in the UI.

What belongs here: gathering the facts for `due` and the budget, a feature at a time. What does not: those decisions
themselves (domain), launching (Dagster).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from evalops_core.domain.eval_run import EvalRun
from evalops_core.domain.suite import Suite
from evalops_core.domain.window import LastRun, NotDue, Window, due
from evalops_core.store.runs import EvalRuns


@dataclass(frozen=True, slots=True)
class Tick:
    """`start` are the features to evaluate now, for one `window`; `reasons` one sentence for each of the others."""

    start: tuple[str, ...]
    window: Window | None
    reasons: tuple[str, ...]


def decide_tick(
    suites: Iterable[Suite],
    runs: EvalRuns,
    now: datetime,
    *,
    over_budget: Callable[[Suite], str | None],
) -> Tick:
    """Decide for suites of one interval. `over_budget` says in words that a suite's daily budget is spent, or None."""
    start: list[str] = []
    reasons: list[str] = []
    window: Window | None = None
    for suite in suites:
        decided = due(now, suite.interval_hours, last_run(runs.last_scheduled(suite.feature)))
        if isinstance(decided, NotDue):
            reasons.append(f"{suite.feature} is not due before {decided.until:%Y-%m-%d %H:%M} UTC: {decided.why}")
        elif (spent := over_budget(suite)) is not None:
            reasons.append(f"{suite.feature} is over its budget: {spent}")
        else:
            start.append(suite.feature)
            window = decided.window
    return Tick(tuple(start), window, tuple(reasons))


def last_run(run: EvalRun | None) -> LastRun | None:
    """The run as `due` sees it."""
    if run is None:
        return None
    if run.status == "completed":
        return LastRun(run.partition_key, run.created_at, "completed")
    state = "unusable" if run.status in ("invalid", "partial") else "unfinished"
    return LastRun(run.partition_key, run.created_at, state)
