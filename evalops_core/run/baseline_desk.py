"""What people do with baselines: say which run a feature is compared with, and take that back.

What belongs here: which runs may be pinned, and one small function for each command. What does not: the baseline where
none is pinned (store.verdicts, compare), options and words of commands (evalops_dagster.cli).
"""

from datetime import datetime

from sqlalchemy import Engine

from evalops_core.domain.eval_run import EvalRun
from evalops_core.errors import ConfigError
from evalops_core.store.alerting import alerting, reading
from evalops_core.store.baselines import Pin

__all__ = ["Pin", "invalid_because", "list_baselines", "pin_baseline", "unpin_baseline"]


def pin_baseline(engine: Engine, run_id: int, reason: str, by: str | None, now: datetime) -> tuple[Pin, int | None]:
    """The pin, and the id of the run that was pinned of its feature before, None where none was.

    ConfigError where there is no such run, or it has no score that could be trusted. Runs by hand may be pinned.
    """
    with alerting(engine) as tables:
        run = tables.baselines.run(run_id)
        if run is None:
            raise ConfigError(f"there is no eval run {run_id}; `evalops trend --format json` shows the scheduled ones")
        why_not = invalid_because(run)
        if why_not is not None:
            raise ConfigError(f"{why_not}; only a completed run with a score can be a baseline")
        standing = tables.baselines.pinned(run.feature)
        return tables.baselines.pin(run, reason, by, now), None if standing is None else standing.id


def unpin_baseline(engine: Engine, feature: str, now: datetime) -> int:
    """The run that was pinned until now. ConfigError where none was."""
    with alerting(engine) as tables:
        before = tables.baselines.unpin(feature, now)
        if before is None:
            pinned = ", ".join(pin.feature for pin in tables.baselines.listed()) or "none"
            raise ConfigError(f"no baseline of {feature!r} is pinned; features with one: {pinned}")
    return before


def list_baselines(engine: Engine) -> list[Pin]:
    """What is pinned now, by feature."""
    with reading(engine) as tables:
        return tables.baselines.listed()


def invalid_because(run: EvalRun) -> str | None:
    """Why the run's score may not be compared with, in words; None where it may."""
    if run.status != "completed":
        reason = f" ({run.status_reason})" if run.status_reason else ""
        return f"eval run {run.id} of {run.feature} is {run.status}{reason}"
    return f"eval run {run.id} of {run.feature} has no score" if run.score is None else None
