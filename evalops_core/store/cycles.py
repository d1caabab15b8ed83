"""Where the scheduled evaluations of features stand: the newest run of each, and the verdict on it.

What belongs here: statements within a transaction of the caller's. What does not: whether that is good (run.heartbeat).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select, text

from evalops_core.domain.eval_run import RunStatus
from evalops_core.store.tables import VERDICTS


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledRun:
    """A scheduled eval run. `verdict_id` and `judged_at` are None until it was judged; `dagster_run_id` is the root of
    its re-executions."""

    eval_run_id: int
    feature: str
    partition_key: str
    interval: timedelta
    status: RunStatus
    dagster_run_id: str | None = None
    verdict_id: int | None = None
    judged_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """A feature's newest scheduled run, and the newest that has ended: the same one unless it is `running`. None where
    none has ended yet."""

    newest: ScheduledRun
    ended: ScheduledRun | None


def newest_verdict(connection: Connection) -> int:
    """The id of the verdict that was stored last; 0 before the first."""
    return connection.execute(select(func.coalesce(func.max(VERDICTS.c.id), 0))).scalar_one()


def courses(connection: Connection, features: Collection[str]) -> Sequence[Course]:
    """Of each of the features that has a scheduled run, by name. Reads two runs a feature, however many there are."""
    rows = connection.execute(_COURSES, {"features": sorted(features)}).mappings().all()
    newest: dict[str, ScheduledRun] = {}
    ended: dict[str, ScheduledRun] = {}
    for row in rows:
        values = {str(name): value for name, value in row.items() if name != "has_ended"}
        (ended if row["has_ended"] else newest)[row["feature"]] = ScheduledRun(**values)
    return [Course(run, ended.get(feature)) for feature, run in sorted(newest.items())]


_RUN = """
    SELECT id, feature, partition_key, window_end - window_start AS interval, status, dagster_run_id, checked_at
    FROM evalops.eval_runs WHERE feature = wanted.feature AND run_type = 'scheduled'
"""
_NEWEST = "ORDER BY window_start DESC, id DESC LIMIT 1"
_COURSES = text(f"""
    SELECT run.id AS eval_run_id, run.feature, run.partition_key, run.interval, run.status, run.dagster_run_id,
        verdicts.id AS verdict_id, run.checked_at AS judged_at, run.has_ended
    FROM unnest(CAST(:features AS text[])) AS wanted (feature)
    CROSS JOIN LATERAL (
        SELECT *, false AS has_ended FROM ({_RUN} {_NEWEST}) AS newest
        UNION ALL
        SELECT *, true AS has_ended FROM ({_RUN} AND status <> 'running' {_NEWEST}) AS ended
    ) AS run
    LEFT JOIN evalops.verdicts ON verdicts.eval_run_id = run.id
""")  # noqa: S608  # constants of ours
