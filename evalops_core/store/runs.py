"""Eval runs as rows: started, looked for, gone on with, finished.

What belongs here: one statement a question. What does not: which run to start or to go on with (run), and the cases'
rows (results).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, TextClause, Update, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import RowMapping
from sqlalchemy.exc import IntegrityError

from evalops_core.domain.comparability import ComparabilityKey
from evalops_core.domain.eval_run import EvalRun, RunStatus, RunType
from evalops_core.domain.window import Window
from evalops_core.errors import DatabaseError
from evalops_core.store.storable import storable
from evalops_core.store.tables import EVAL_RUNS, ONE_SCHEDULED

_RUNS = EVAL_RUNS.c
_NOT_FAILED = _RUNS.status != "failed"
_STORE_S_OWN = ("comparability_key", "checked_at", "confirms_run_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run about to start. `comparability` is as asked for: no endpoint has resolved a model's name yet.

    `confirms_run_id` is the scheduled run whose fall it is to confirm.
    """

    feature: str
    window: Window
    run_type: RunType
    comparability: ComparabilityKey
    plan_key: str
    weights: Mapping[str, float] = field(default_factory=dict[str, float])
    git_sha: str | None = None
    dagster_run_id: str | None = None
    confirms_run_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a run ended: the fields of `EvalRun` that are known by then, with the comparability key as resolved."""

    status: RunStatus
    comparability: ComparabilityKey
    finished_at: datetime
    status_reason: str | None = None
    model_id: str | None = None
    judge_model_id: str | None = None
    score: Decimal | None = None
    se: Decimal | None = None
    n: int | None = None
    n_unscored: int | None = None
    coverage: float | None = None
    breakdown: Mapping[str, float] = field(default_factory=dict[str, float])
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: Decimal | None = None


class EvalRuns:
    """The table `eval_runs`. Every method is a transaction of its own and may be called from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def insert(self, new: NewRun) -> EvalRun | None:
        """The run, `running`; None where the window has its scheduled run already (one that has not failed)."""
        statement = (
            insert(EVAL_RUNS)
            .values(
                feature=new.feature,
                window_start=new.window.start,
                window_end=new.window.end,
                partition_key=new.window.key,
                run_type=new.run_type,
                comparability=new.comparability.as_json(),
                comparability_key=new.comparability.digest,
                plan_key=new.plan_key,
                weights=dict(new.weights),
                git_sha=new.git_sha,
                dagster_run_id=new.dagster_run_id,
                confirms_run_id=new.confirms_run_id,
            )
            .on_conflict_do_nothing(index_elements=[_RUNS.feature, _RUNS.partition_key], index_where=ONE_SCHEDULED)
            .returning(EVAL_RUNS)
        )
        with self._engine.begin() as connection:
            row = connection.execute(statement).mappings().one_or_none()
        return None if row is None else run_of(row)

    def get(self, run_id: int) -> EvalRun:
        """DatabaseError where there is no such run."""
        with self._engine.connect() as connection:
            return _get(connection, run_id)

    def of_dagster_run(self, feature: str, partition_key: str, dagster_run_id: str) -> EvalRun | None:
        """The newest run that this Dagster run (the root of its re-executions) started and that has not failed."""
        return self._newest(
            _RUNS.feature == feature,
            _RUNS.partition_key == partition_key,
            _RUNS.dagster_run_id == dagster_run_id,
            _NOT_FAILED,
        )

    def scheduled(self, feature: str, partition_key: str) -> EvalRun | None:
        """The window's one scheduled run that has not failed."""
        return self._newest(_RUNS.feature == feature, _RUNS.partition_key == partition_key, ONE_SCHEDULED)

    def last_scheduled(self, feature: str) -> EvalRun | None:
        """The feature's newest scheduled run, of any window, that has not failed."""
        return self._newest(_RUNS.feature == feature, ONE_SCHEDULED)

    def fail_left_over(self, feature: str, before: datetime, now: datetime) -> int:
        """Fails the runs that are still `running` though their window ended by `before`; returns how many."""
        statement = (
            update(EVAL_RUNS)
            .where(_RUNS.feature == feature, _RUNS.status == "running", _RUNS.window_end <= before)
            .values(status="failed", status_reason="its window ended before it was finished", finished_at=now)
        )
        with self._engine.begin() as connection:
            return connection.execute(statement).rowcount

    def unfinished_manual(self, feature: str, partition_key: str, plan_key: str) -> EvalRun | None:
        """The newest manual run of this plan that a cap has stopped, that is still `running` or was so when its
        process died."""
        return self._newest(
            _RUNS.feature == feature,
            _RUNS.partition_key == partition_key,
            _RUNS.plan_key == plan_key,
            _RUNS.run_type == "manual",
            _RUNS.status.in_(("running", "partial")),
            _RUNS.texts_purged_at.is_(None),
        )

    def latest(self, feature: str, partition_key: str) -> EvalRun | None:
        """The window's newest run of either type that has not failed."""
        return self._newest(_RUNS.feature == feature, _RUNS.partition_key == partition_key, _NOT_FAILED)

    def latest_ended(self, feature: str, partition_key: str) -> EvalRun | None:
        """The same, leaving out those that are still `running`."""
        ended = _RUNS.status.not_in(("failed", "running"))
        return self._newest(_RUNS.feature == feature, _RUNS.partition_key == partition_key, ended)

    def recent(self, feature: str | None, limit: int) -> list[EvalRun]:
        """At most `limit` runs of a feature, or of all of them, whatever their type and status; newest first."""
        query = select(EVAL_RUNS).order_by(_RUNS.id.desc()).limit(limit)
        if feature is not None:
            query = query.where(_RUNS.feature == feature)
        with self._engine.connect() as connection:
            return [run_of(row) for row in connection.execute(query).mappings()]

    def adopt(self, run_id: int, dagster_run_id: str | None) -> EvalRun:
        """The run, `running` again for this Dagster run; its numbers stand until it is finished anew.

        DatabaseError where its texts were purged meanwhile.
        """
        return self._update(
            run_id,
            _RUNS.texts_purged_at.is_(None),
            dagster_run_id=dagster_run_id,
            status="running",
            status_reason=None,
            finished_at=None,
        )

    def finish(self, run_id: int, finished: Finished) -> EvalRun:
        """The run as stored, its score rounded to the column's precision."""
        return self._update(
            run_id,
            status=finished.status,
            status_reason=storable(finished.status_reason),
            model_id=storable(finished.model_id),
            judge_model_id=storable(finished.judge_model_id),
            comparability=finished.comparability.as_json(),
            comparability_key=finished.comparability.digest,
            score=finished.score,
            se=finished.se,
            n=finished.n,
            n_unscored=finished.n_unscored,
            coverage=finished.coverage,
            breakdown=dict(finished.breakdown),
            prompt_tokens=finished.prompt_tokens,
            completion_tokens=finished.completion_tokens,
            cost_usd=finished.cost_usd,
            finished_at=finished.finished_at,
        )

    def note(self, run_id: int, reason: str) -> EvalRun:
        """The run, which goes on with a reason why it will not get far; `adopt` takes it back."""
        return self._update(run_id, status_reason=storable(reason))

    def fail(self, run_id: int, reason: str, now: datetime) -> EvalRun:
        """The run, `failed`, which gives its window free; a completed one stays as it ended."""
        statement = (
            update(EVAL_RUNS)
            .where(_RUNS.id == run_id, _RUNS.status != "completed")
            .values(status="failed", status_reason=storable(reason), finished_at=now)
        )
        with self._engine.begin() as connection:
            connection.execute(statement)
            return _get(connection, run_id)

    def _newest(self, *conditions: ColumnElement[bool] | TextClause) -> EvalRun | None:
        query = select(EVAL_RUNS).where(*conditions).order_by(_RUNS.id.desc()).limit(1)
        with self._engine.connect() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else run_of(row)

    def _update(self, run_id: int, *conditions: ColumnElement[bool], **values: object) -> EvalRun:
        statement: Update = update(EVAL_RUNS).where(_RUNS.id == run_id, *conditions).values(**values)
        try:
            with self._engine.begin() as connection:
                row = connection.execute(statement.returning(EVAL_RUNS)).mappings().one_or_none()
        except IntegrityError as error:
            if "uq_eval_runs_scheduled" not in str(error.orig):
                raise
            raise DatabaseError(
                f"eval run {run_id} failed, and its window has another scheduled run by now: go on with that one"
            ) from error
        if row is None:
            raise DatabaseError(_texts_gone(self.get(run_id)))
        return run_of(row)


def require_texts(run: EvalRun) -> None:
    """DatabaseError where retention has taken the run's texts: an empty answer must never be judged as one."""
    if run.texts_purged_at is not None:
        raise DatabaseError(_texts_gone(run))


def _texts_gone(run: EvalRun) -> str:
    when = "" if run.texts_purged_at is None else f" on {run.texts_purged_at:%Y-%m-%d}"
    return (
        f"the answers of eval run {run.id} were purged{when}, so that there is nothing left to judge: materialize "
        f"{run.feature}/responses too"
    )


def _get(connection: Connection, run_id: int) -> EvalRun:
    row = connection.execute(select(EVAL_RUNS).where(_RUNS.id == run_id)).mappings().one_or_none()
    if row is None:
        raise DatabaseError(f"there is no eval run {run_id}")
    return run_of(row)


def run_of(row: RowMapping) -> EvalRun:
    """A row of `eval_runs`, as the domain knows it."""
    values: dict[str, Any] = {str(key): value for key, value in row.items() if key not in _STORE_S_OWN}
    comparability = ComparabilityKey(**values.pop("comparability"))
    return EvalRun(**values, comparability=comparability)
