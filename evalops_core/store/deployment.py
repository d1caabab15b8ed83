"""Facts about this deployment that are decided once.

What belongs here: reading them. What does not: settings, which an operator may change.
"""

from datetime import datetime

from sqlalchemy import DateTime, Engine, cast, select

from evalops_core.errors import DatabaseError
from evalops_core.store.tables import DEPLOYMENT


def installed_at(engine: Engine) -> datetime:
    """When the database was first upgraded to hold scheduled runs (UTC)."""
    query = select(cast(DEPLOYMENT.c.value, DateTime(timezone=True))).where(DEPLOYMENT.c.key == "installed_at")
    with engine.connect() as connection:
        found = connection.execute(query).scalar_one_or_none()
    if found is None:
        raise DatabaseError(
            "the database has lost its installation date: insert `installed_at` into evalops.deployment"
        )
    return found
