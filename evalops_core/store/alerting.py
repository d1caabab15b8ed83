"""The transaction in which verdicts, incidents and messages move together.

What belongs here: opening it, one at a time for the whole database. What does not: the statements (verdicts, incidents,
outbox), what is decided within it (run.detect, run.watch).

One at a time, because then verdicts get their ids in the order in which they are committed, so that a reader that goes
on from the last id it saw misses none; and because two deployments that look at once should find each other's work
instead of each other's errors. The unique keys of the tables hold all the same.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, func, select, text

from evalops_core.store.baselines import Baselines
from evalops_core.store.incidents import Incidents
from evalops_core.store.statistics import Statistics
from evalops_core.store.verdicts import Verdicts

_LOCK = 0x6576616C616C7274  # "evalalrt"
_PATIENCE = "30s"


@dataclass(frozen=True, slots=True)
class Alerting:
    """The tables, and the connection whose transaction they share."""

    connection: Connection
    verdicts: Verdicts
    incidents: Incidents
    baselines: Baselines
    statistics: Statistics


@contextmanager
def alerting(engine: Engine) -> Generator[Alerting, None, None]:
    """Committed when the block ends, as if it had never been where the block raises."""
    # A snapshot taken before the lock was granted would not show what the one before has written.
    with engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
        connection.execute(text(f"SET LOCAL lock_timeout = '{_PATIENCE}'"))
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        yield _tables(connection)


@contextmanager
def reading(engine: Engine) -> Generator[Alerting, None, None]:
    """The same tables to look at, without waiting for anybody."""
    with engine.connect() as connection:
        yield _tables(connection)


def _tables(connection: Connection) -> Alerting:
    return Alerting(
        connection, Verdicts(connection), Incidents(connection), Baselines(connection), Statistics(connection)
    )
