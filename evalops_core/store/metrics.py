"""What the metrics are made of: the state of every feature, of what is open and of what waits, read in one transaction.

What belongs here: the statements; each looks at what is newest or open, never at all of history. What does not: names
and units of metrics (run.metrics).
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from pydantic import SecretStr
from sqlalchemy import Connection, Engine, func, select, text

from evalops_core.domain.incident import Kind, State
from evalops_core.store.direct import DirectSession
from evalops_core.store.gate_lock import GateLock, Holder
from evalops_core.store.mail_queue import MailQueue, mail_queue
from evalops_core.store.names import names_in
from evalops_core.store.tables import EVAL_RUNS, INCIDENTS, INCIDENTS_OPEN, UNCHECKED

FORGOTTEN_AFTER = timedelta(days=30)
_PATIENCE = "5s"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureState:
    """A feature whose newest scheduled run that has ended is of a window that ended less than `FORGOTTEN_AFTER` ago.

    `last_run_at` is the end of that run, whatever became of it. The others are of the newest valid one and None where
    there is none, or where it does not know them. Score and standard error are on the 1–5 scale.
    """

    feature: str
    interval: timedelta
    last_run_at: datetime
    last_success_at: datetime | None = None
    score: Decimal | None = None
    se: Decimal | None = None
    coverage: float | None = None
    cost_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class SpentToday:
    """Of a feature and a purpose in the UTC day. `usd` is what is known, None where no price is; `unpriced_calls` come
    on top of it."""

    feature: str
    purpose: str
    usd: Decimal | None
    unpriced_calls: int


@dataclass(frozen=True, slots=True)
class OpenIncidents:
    feature: str
    kind: Kind
    state: State
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreState:
    """`now` is the database's clock, by which ages are counted."""

    now: datetime
    features: Sequence[FeatureState]
    spent: Sequence[SpentToday]
    incidents: Sequence[OpenIncidents]
    mail: MailQueue
    unjudged: int


def store_state(engine: Engine) -> StoreState:
    """Everything but the gates, in one transaction; a statement may take 5 s."""
    with engine.connect() as connection:
        connection.execute(text(f"SET LOCAL statement_timeout = '{_PATIENCE}'"))
        now = connection.execute(select(func.now())).scalar_one()
        return StoreState(
            now=now,
            features=_features(connection, now),
            spent=[SpentToday(*row) for row in connection.execute(_SPENT)],
            incidents=_incidents(connection),
            mail=mail_queue(connection, now),
            unjudged=connection.execute(select(func.count()).select_from(EVAL_RUNS).where(UNCHECKED)).scalar_one(),
        )


def holders(url: SecretStr, gates: Sequence[str]) -> Mapping[str, Holder | None]:
    """Who has held each of the gates, or a part of it, for longest; None where it is free. By one session."""
    with closing(DirectSession(url, "evalops")) as session:
        return {name: next(iter(GateLock(name).holders(session)), None) for name in gates}


def _features(connection: Connection, now: datetime) -> list[FeatureState]:
    names = list(connection.scalars(names_in(EVAL_RUNS.name)))
    rows = connection.execute(_FEATURES, {"features": names, "since": now - FORGOTTEN_AFTER})
    return [FeatureState(**row) for row in rows.mappings()]


def _incidents(connection: Connection) -> list[OpenIncidents]:
    columns = (INCIDENTS.c.feature, INCIDENTS.c.kind, INCIDENTS.c.state)
    query = select(*columns, func.count()).where(INCIDENTS_OPEN).group_by(*columns).order_by(*columns)
    return [OpenIncidents(*row) for row in connection.execute(query)]


_FEATURES = text("""
    SELECT wanted.feature, ended.interval, ended.finished_at AS last_run_at,
        valid.finished_at AS last_success_at, valid.score, valid.se, valid.coverage, valid.cost_usd
    FROM unnest(CAST(:features AS text[])) AS wanted (feature)
    CROSS JOIN LATERAL (
        SELECT window_end, window_end - window_start AS interval, finished_at FROM evalops.eval_runs
        WHERE feature = wanted.feature AND run_type = 'scheduled' AND status <> 'running'
        ORDER BY window_start DESC, id DESC LIMIT 1
    ) AS ended
    LEFT JOIN LATERAL (
        SELECT finished_at, score, se, coverage, cost_usd FROM evalops.eval_runs
        WHERE feature = wanted.feature AND run_type = 'scheduled' AND status = 'completed'
        ORDER BY window_start DESC, id DESC LIMIT 1
    ) AS valid ON true
    WHERE ended.window_end > :since
    ORDER BY wanted.feature
""")

_SPENT = text("""
    SELECT feature, purpose, sum(settled_usd), sum(unpriced_calls + lost_calls) FROM evalops.spend
    WHERE day = (now() AT TIME ZONE 'UTC')::date GROUP BY feature, purpose ORDER BY feature, purpose
""")
