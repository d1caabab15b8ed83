"""Pinned baselines as rows: the run that a feature's runs are compared with because somebody said so, and why.

What belongs here: statements within a transaction of the caller's. What does not: which runs may be pinned
(run.baseline_desk), the baseline where none is pinned (verdicts), what is made of either (domain.regression). At most
one baseline of a feature is pinned, by a unique index; a pin that was taken back stays as a row.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from evalops_core.domain.eval_run import EvalRun
from evalops_core.store.runs import run_of
from evalops_core.store.storable import storable
from evalops_core.store.tables import BASELINES, EVAL_RUNS, VALID

_B, _RUNS = BASELINES.c, EVAL_RUNS.c
_PINNED = _B.unpinned_at.is_(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A baseline that is pinned: the run, who pinned it, None where nobody is known, why and when."""

    feature: str
    run: EvalRun
    reason: str
    pinned_by: str | None
    pinned_at: datetime


class Baselines:
    """The table `baselines`, within the transaction of `connection`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def run(self, run_id: int) -> EvalRun | None:
        """The eval run that may become a baseline; None where there is none of that id."""
        row = self._connection.execute(select(EVAL_RUNS).where(_RUNS.id == run_id)).mappings().one_or_none()
        return None if row is None else run_of(row)

    def pin(self, run: EvalRun, reason: str, by: str | None, now: datetime) -> Pin:
        """Pins `run` in the place of what was pinned of its feature.

        Two at once wait for each other only where the caller holds a lock, as `alerting` does; without one the second
        ends in IntegrityError.
        """
        self.unpin(run.feature, now)
        pin = Pin(feature=run.feature, run=run, reason=storable(reason), pinned_by=storable(by), pinned_at=now)
        self._connection.execute(
            insert(BASELINES).values(
                feature=pin.feature,
                eval_run_id=run.id,
                reason=pin.reason,
                pinned_by=pin.pinned_by,
                pinned_at=now,
            )
        )
        return pin

    def unpin(self, feature: str, now: datetime) -> int | None:
        """Takes the feature's pin back; the id of the run that was pinned, None where none was."""
        statement = update(BASELINES).where(_B.feature == feature, _PINNED).values(unpinned_at=now)
        return self._connection.execute(statement.returning(_B.eval_run_id)).scalar_one_or_none()

    def pinned(self, feature: str) -> EvalRun | None:
        """The run that is pinned as the feature's baseline."""
        found = self.listed(feature)
        return found[0].run if found else None

    def listed(self, feature: str | None = None) -> list[Pin]:
        """What is pinned, by feature; of one feature, at most one."""
        query = select(BASELINES).where(_PINNED).order_by(_B.feature)
        if feature is not None:
            query = query.where(_B.feature == feature)
        pins = self._connection.execute(query).all()
        runs = select(EVAL_RUNS).where(_RUNS.id.in_([pin.eval_run_id for pin in pins]))
        by_id = {run.id: run for run in map(run_of, self._connection.execute(runs).mappings())}
        return [
            Pin(
                feature=pin.feature,
                run=by_id[pin.eval_run_id],
                reason=pin.reason,
                pinned_by=pin.pinned_by,
                pinned_at=pin.pinned_at,
            )
            for pin in pins
            if pin.eval_run_id in by_id  # its run may be deleted between the two statements, and the pin with it
        ]

    def newest_valid(self, feature: str) -> EvalRun | None:
        """The newest run of either type that is completed and has a score: what would be a baseline, or is compared."""
        query = (
            select(EVAL_RUNS)
            .where(_RUNS.feature == feature, _RUNS.status == "completed", _RUNS.score.is_not(None))
            .order_by(_RUNS.id.desc())
            .limit(1)
        )
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else run_of(row)

    def newest_scheduled(self, feature: str) -> EvalRun | None:
        """The same of scheduled runs, by window."""
        query = (
            select(EVAL_RUNS)
            .where(VALID, _RUNS.feature == feature, _RUNS.score.is_not(None))
            .order_by(_RUNS.window_start.desc(), _RUNS.id.desc())
            .limit(1)
        )
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else run_of(row)
