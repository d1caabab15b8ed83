"""Verdicts, and the scheduled runs that still wait for one.

What belongs here: statements within a transaction of the caller's. What does not: the decision (domain.regression),
what follows from it (incidents, outbox).

A run that was judged carries `checked_at`, so that the runs which wait are a partial index of their own: what a look
costs depends on what is new, never on how much there is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, ScalarSelect, Select, and_, exists, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert

from evalops_core.domain.eval_run import EvalRun
from evalops_core.domain.regression import Severity, Verdict, VerdictOutcome
from evalops_core.store.names import names_in
from evalops_core.store.runs import run_of
from evalops_core.store.tables import EVAL_RUNS, INCIDENTS, UNCHECKED, VALID, VERDICTS

_RUNS = EVAL_RUNS.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A stored verdict with what a person needs beside it. `baseline_window` is the partition key of the baseline.

    `incident_id` is the incident that was open after it, `incident_reference` that one's score before the drop.
    """

    id: int
    outcome: VerdictOutcome
    severity: Severity
    rule: str | None
    prior: Decimal | None
    current: Decimal | None
    drop: Decimal | None
    why: str
    eval_run_id: int
    feature: str
    model_id: str | None
    partition_key: str
    dagster_run_id: str | None
    baseline_run_id: int | None
    baseline_window: str | None
    incident_id: int | None
    incident_reference: Decimal | None
    incident_opened_at: datetime | None
    created_at: datetime
    details: Mapping[str, Any]


class Verdicts:
    """The table `verdicts`, within the transaction of `connection`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def waiting(self, limit: int) -> list[EvalRun]:
        """The valid scheduled runs without a verdict, oldest window first."""
        query = select(EVAL_RUNS).where(UNCHECKED).order_by(_RUNS.window_start, _RUNS.id).limit(limit)
        return [run_of(row) for row in self._connection.execute(query).mappings()]

    def earlier(self, run: EvalRun, limit: int = 1) -> list[EvalRun]:
        """The valid scheduled runs of the same feature and model with an earlier window, newest first."""
        query = (
            select(EVAL_RUNS)
            .where(
                VALID,
                _RUNS.feature == run.feature,
                _RUNS.model_id.is_not_distinct_from(run.model_id),
                _RUNS.window_start < run.window_start,
            )
            .order_by(_RUNS.window_start.desc(), _RUNS.id.desc())
            .limit(limit)
        )
        return [run_of(row) for row in self._connection.execute(query).mappings()]

    def history(self, run: EvalRun, limit: int) -> list[EvalRun]:
        """What the statistics may compare the run with, whatever the model: the feature's valid scheduled runs of
        earlier windows, newest first. Those that were found low are left out, and so is everything from before the
        last drop that a person accepted, whose runs are the new normal.
        """
        low = exists().where(
            VERDICTS.c.eval_run_id == _RUNS.id,
            or_(VERDICTS.c.outcome == "regressed", VERDICTS.c.incident_id.is_not(None)),
            ~exists().where(INCIDENTS.c.id == VERDICTS.c.incident_id, INCIDENTS.c.resolution == "accepted"),
        )
        query = (
            select(EVAL_RUNS)
            .where(
                VALID,
                _RUNS.feature == run.feature,
                _RUNS.window_start < run.window_start,
                _RUNS.window_start >= func.coalesce(_accepted_since(run.feature), text("'-infinity'::timestamptz")),
                ~low,
            )
            .order_by(_RUNS.window_start.desc(), _RUNS.id.desc())
            .limit(limit)
        )
        return [run_of(row) for row in self._connection.execute(query).mappings()]

    def valid_runs(self, feature: str, since: datetime | None) -> list[EvalRun]:
        """The feature's valid scheduled runs of windows that start at `since` or later, oldest first."""
        query = select(EVAL_RUNS).where(VALID, _RUNS.feature == feature).order_by(_RUNS.window_start, _RUNS.id)
        if since is not None:
            query = query.where(_RUNS.window_start >= since)
        return [run_of(row) for row in self._connection.execute(query).mappings()]

    def features(self) -> list[str]:
        """Those that have a valid scheduled run."""
        return list(self._connection.scalars(names_in(EVAL_RUNS.name, VALID.text)))

    def was_low(self, run: EvalRun) -> bool:
        """Whether the feature's judged run before this one has regressed, with or without anybody being told."""
        query = (
            select(VERDICTS.c.outcome)
            .join(EVAL_RUNS, _RUNS.id == VERDICTS.c.eval_run_id)
            .where(VALID, _RUNS.feature == run.feature, _RUNS.window_start < run.window_start)
            .order_by(_RUNS.window_start.desc(), _RUNS.id.desc())
            .limit(1)
        )
        return self._connection.execute(query).scalar_one_or_none() == "regressed"

    def has(self, run_id: int) -> bool:
        query = select(exists().where(VERDICTS.c.eval_run_id == run_id))
        return bool(self._connection.execute(query).scalar_one())

    def checked(self, run_id: int, now: datetime) -> None:
        """The run does not wait any more."""
        self._connection.execute(update(EVAL_RUNS).where(_RUNS.id == run_id).values(checked_at=now))

    def p_values_of(self, dagster_run_id: str) -> list[float]:
        """Those of the statistics' verdicts on one Dagster run's features."""
        p = VERDICTS.c.details["assessment"]["p_value"]
        query = (
            select(p.as_float())
            .join(EVAL_RUNS, _RUNS.id == VERDICTS.c.eval_run_id)
            .where(_RUNS.dagster_run_id == dagster_run_id, VERDICTS.c.rule.in_(("paired", "history")))
        )
        return [value for value in self._connection.execute(query).scalars() if value is not None]

    def is_newest(self, run: EvalRun) -> bool:
        """Whether no later window of the same feature and model was judged before."""
        later = select(func.count()).where(
            VALID,
            _RUNS.feature == run.feature,
            _RUNS.model_id.is_not_distinct_from(run.model_id),
            _RUNS.window_start > run.window_start,
            _RUNS.checked_at.is_not(None),
        )
        return self._connection.execute(later).scalar_one() == 0

    def last_valid(self, features: Sequence[str]) -> dict[str, datetime]:
        """When the last valid scheduled run of each feature ended, for those that have one."""
        each = text("unnest(CAST(:features AS text[])) AS wanted (feature)")
        last = text(
            f"""
            SELECT wanted.feature, last.finished_at FROM {each} CROSS JOIN LATERAL (
                SELECT finished_at FROM evalops.eval_runs
                WHERE feature = wanted.feature AND run_type = 'scheduled' AND status = 'completed'
                ORDER BY window_start DESC, id DESC LIMIT 1
            ) AS last
            """  # noqa: S608  # a constant of ours
        )
        rows = self._connection.execute(last, {"features": list(features)})
        return {row.feature: row.finished_at for row in rows}

    def record(self, found: Verdict, details: Mapping[str, Any], now: datetime) -> int | None:
        """Stores the verdict and marks its run as judged; the verdict's id, None where the run had one already."""
        statement = (
            insert(VERDICTS)
            .values(
                eval_run_id=found.run,
                baseline_run_id=found.baseline_run,
                outcome=found.outcome,
                severity=found.severity,
                rule=found.rule,
                prior_score=found.prior,
                current_score=found.current,
                drop=found.drop,
                why=found.why,
                details=dict(details),
            )
            .on_conflict_do_nothing(index_elements=[VERDICTS.c.eval_run_id])
            .returning(VERDICTS.c.id)
        )
        new = self._connection.execute(statement).scalar_one_or_none()
        self._connection.execute(update(EVAL_RUNS).where(_RUNS.id == found.run).values(checked_at=now))
        return new

    def belongs_to(self, verdict_id: int, incident_id: int) -> None:
        """The incident that is open after the verdict."""
        self._connection.execute(update(VERDICTS).where(VERDICTS.c.id == verdict_id).values(incident_id=incident_id))

    def after(self, verdict_id: int, limit: int) -> list[Judged]:
        """The verdicts stored after that one, oldest first."""
        query = _judged().where(VERDICTS.c.id > verdict_id).order_by(VERDICTS.c.id).limit(limit)
        return [Judged(**row) for row in self._connection.execute(query).mappings()]

    def newest_of(self, feature: str) -> Judged | None:
        """The verdict on the feature's newest judged window."""
        query = (
            _judged()
            .where(_RUNS.feature == feature, _RUNS.run_type == "scheduled", _RUNS.status == "completed")
            .order_by(_RUNS.window_start.desc(), VERDICTS.c.id.desc())
            .limit(1)
        )
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else Judged(**row)

    def of_incident(self, incident_id: int, limit: int = 100) -> list[Judged]:
        """What an incident has seen, newest first."""
        query = _judged().where(VERDICTS.c.incident_id == incident_id).order_by(VERDICTS.c.id.desc()).limit(limit)
        return [Judged(**row) for row in self._connection.execute(query).mappings()]


def _accepted_since(feature: str) -> ScalarSelect[Any]:
    """The window of the drop that was accepted last, NULL where none was."""
    opening = EVAL_RUNS.alias("opening")
    return (
        select(func.max(opening.c.window_start))
        .select_from(INCIDENTS.join(opening, opening.c.id == INCIDENTS.c.opened_by_run_id))
        .where(INCIDENTS.c.feature == feature, INCIDENTS.c.kind == "regression", INCIDENTS.c.resolution == "accepted")
        .scalar_subquery()
    )


def _judged() -> Select[Any]:
    baseline = EVAL_RUNS.alias("baseline")
    return select(
        VERDICTS.c.id,
        VERDICTS.c.outcome,
        VERDICTS.c.severity,
        VERDICTS.c.rule,
        VERDICTS.c.prior_score.label("prior"),
        VERDICTS.c.current_score.label("current"),
        VERDICTS.c.drop,
        VERDICTS.c.why,
        VERDICTS.c.eval_run_id,
        _RUNS.feature,
        _RUNS.model_id,
        _RUNS.partition_key,
        _RUNS.dagster_run_id,
        VERDICTS.c.baseline_run_id,
        baseline.c.partition_key.label("baseline_window"),
        VERDICTS.c.incident_id,
        INCIDENTS.c.reference_score.label("incident_reference"),
        INCIDENTS.c.opened_at.label("incident_opened_at"),
        VERDICTS.c.created_at,
        VERDICTS.c.details,
    ).select_from(
        VERDICTS.join(EVAL_RUNS, and_(_RUNS.id == VERDICTS.c.eval_run_id))
        .outerjoin(baseline, baseline.c.id == VERDICTS.c.baseline_run_id)
        .outerjoin(INCIDENTS, INCIDENTS.c.id == VERDICTS.c.incident_id)
    )
