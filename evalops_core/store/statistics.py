"""What the statistics carry from one run to the next, and which falls a second run is to confirm.

What belongs here: statements within a transaction of the caller's. What does not: what is carried (domain.regression),
when a second run is wanted (run.detect).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from evalops_core.domain.eval_run import EvalRun
from evalops_core.store.runs import run_of
from evalops_core.store.tables import CONFIRMATIONS, EVAL_RUNS, SLIDES

_RUNS = EVAL_RUNS.c


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A second run is wanted for `eval_run_id`; `outcome` says what came of it, None until then."""

    eval_run_id: int
    requested_at: datetime
    confirming_run_id: int | None
    outcome: str | None


class Statistics:
    """The tables `slides` and `confirmations`, within the transaction of `connection`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def slide(self, feature: str) -> Mapping[str, Any] | None:
        """The state after the feature's newest judged run; None before the first."""
        query = select(SLIDES.c.state).where(SLIDES.c.feature == feature)
        return self._connection.execute(query).scalar_one_or_none()

    def keep_slide(self, feature: str, run_id: int, state: Mapping[str, Any]) -> None:
        values = {"eval_run_id": run_id, "state": dict(state)}
        statement = insert(SLIDES).values(feature=feature, **values)
        self._connection.execute(statement.on_conflict_do_update(index_elements=[SLIDES.c.feature], set_=values))

    def forget_slide(self, feature: str) -> None:
        """The next run begins anew."""
        self._connection.execute(delete(SLIDES).where(SLIDES.c.feature == feature))

    def confirmation(self, run_id: int) -> Confirmation | None:
        row = self._connection.execute(select(CONFIRMATIONS).where(CONFIRMATIONS.c.eval_run_id == run_id)).one_or_none()
        return None if row is None else Confirmation(*row)

    def want_confirmation(self, run_id: int, now: datetime) -> None:
        statement = insert(CONFIRMATIONS).values(eval_run_id=run_id, requested_at=now)
        self._connection.execute(statement.on_conflict_do_nothing())

    def end_confirmation(self, run_id: int, confirming_run_id: int | None, outcome: str) -> None:
        self._connection.execute(
            update(CONFIRMATIONS)
            .where(CONFIRMATIONS.c.eval_run_id == run_id)
            .values(confirming_run_id=confirming_run_id, outcome=outcome)
        )

    def confirming_run(self, run_id: int) -> EvalRun | None:
        """The newest run, whatever its state, that was made to confirm that one."""
        query = select(EVAL_RUNS).where(_RUNS.confirms_run_id == run_id).order_by(_RUNS.id.desc()).limit(1)
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else run_of(row)
