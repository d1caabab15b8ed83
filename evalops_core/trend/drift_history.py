"""Reading days of drift for those who show them.

What belongs here: the one door to `store.drift` for Dagster, the command line and the report. What does not: SQL.
"""

from datetime import date

from sqlalchemy import Engine

from evalops_core.domain.drift.day import DriftDay, Far
from evalops_core.store.drift import DriftDays

__all__ = ["DriftDay", "Far", "drift_features", "read_drift"]


def read_drift(
    engine: Engine, *, feature: str | None = None, limit: int = 30, since: date | None = None
) -> list[DriftDay]:
    """The newest `limit` days of `feature`, or of each that has any; features by name, the newest day first within.

    `since` is the first day that counts. A day that was sampled and not decided yet is among them.
    """
    with engine.connect() as connection:
        days = DriftDays(connection)
        names = days.features() if feature is None else [feature]
        return [day for name in names for day in days.recent(name, limit, since)]


def drift_features(engine: Engine) -> list[str]:
    """Those with any day, by name, whether they have a suite or not."""
    with engine.connect() as connection:
        return DriftDays(connection).features()
