"""What people and jobs do with stored traces: see of which features there are some, delete the old ones.

What belongs here: what is too old, and one small function for each. What does not: the statements (store.traces),
options and words of commands (evalops_dagster.cli).
"""

from datetime import datetime

from sqlalchemy import Engine

from evalops_core.errors import ConfigError
from evalops_core.run.purge import days_before, purge_old_traces
from evalops_core.store.traces import Purged, TracedFeature, Traces

__all__ = ["Purged", "TracedFeature", "purge_traces", "traced_features"]


def purge_traces(engine: Engine, days: int | None, now: datetime) -> Purged:
    """Delete the traces that are older than so many days. ConfigError without a number of days."""
    if days is None:
        raise ConfigError(
            "is unset, so traces are kept for ever; set it to a number of days, or say --older-than DAYS",
            key="EVALOPS_TRACE_RETENTION_DAYS",
        )
    before = days_before(days, now)
    return Purged(0, 0) if before is None else purge_old_traces(engine, before)


def traced_features(engine: Engine) -> list[TracedFeature]:
    """The features of answered calls, by name."""
    return Traces(engine).summary()
