"""Reading the trend for those who show it.

What belongs here: the one door to `store.history` for Dagster and the command line. What does not: SQL.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Engine

from evalops_core.store.history import TrendRow, newest_of_each, trend

__all__ = ["TrendRow", "read_newest", "read_trend"]


def read_trend(
    engine: Engine,
    *,
    feature: str | None = None,
    model: str | None = None,
    limit: int = 100,
    since: datetime | None = None,
) -> list[TrendRow]:
    """Scheduled, completed runs, newest window first."""
    return trend(engine, feature=feature, model=model, limit=limit, since=since)


def read_newest(engine: Engine, limit: int, features: Sequence[str] | None = None) -> list[TrendRow]:
    """The newest `limit` of each of `features`, None for all that have any; by feature's name, newest first."""
    return newest_of_each(engine, limit, features)
