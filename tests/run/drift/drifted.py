"""Days of drift as a look at a feature's traces leaves them, at a drift that a test names, with incidents and messages.

What belongs here: making them without embeddings. What does not: measuring drift (domain.drift), the look itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Engine, insert

from evalops_core.domain.drift.day import Far
from evalops_core.domain.drift.decide import Measured, baseline_of, decide
from evalops_core.domain.incident import Incident, after_drift
from evalops_core.domain.suite import DriftSpec
from evalops_core.run.owed import Owed
from evalops_core.store.alerting import alerting
from evalops_core.store.drift import DriftDays
from evalops_core.store.tables import LLM_TRACES
from tests.run.scored import START, TEAM

SPEC = DriftSpec()  # 0.15, two days in a row, three good days at least
QUIET = (0.03,) * 5
MOVED = (0.19, 0.231)


@dataclass(frozen=True)
class Drifted:
    """Makes days in one database."""

    engine: Engine

    def day(
        self,
        number: int,
        drift: float,
        *,
        feature: str = "explain",
        n: int = 50,
        model: str = "embed-small",
        farthest: Sequence[Far] = (),
    ) -> Incident | None:
        """Day `number` decided as the first three of a feature are, then by `drift`; the incident that it is part of
        or has ended. With fewer than ten prompts it says nothing."""
        now = at(number)
        with alerting(self.engine) as tables:
            days, owed = DriftDays(tables.connection), Owed()
            today = days.keep(
                feature, day_of(number), model, n=n, n_malformed=0, centroid=np.array([1.0, 0.0]), sample={}
            )
            history = days.before(feature, today.day, model)
            measured = Measured(drift, SPEC.threshold or 0, "fixed", farthest=tuple(farthest))
            found = decide(today, history, SPEC, measured if baseline_of(history, SPEC) else None)
            incident = tables.incidents.standing("drift", feature)
            change = after_drift(incident, found.state)
            if change == "opens":
                incident = tables.incidents.open_one("drift", feature, None, now)
                assert incident is not None
                owed.fires("drift", incident, [TEAM])
            elif change == "recovers":
                assert incident is not None
                owed.resolves("drift", incident, tables, now)
                incident = tables.incidents.close(incident.id, "recovered", now)
            part_of = incident.id if incident is not None and incident.is_open else None
            days.decide(today.id, found, now, part_of)
            owed.write(tables, now)
        return incident

    def days(self, drifts: Sequence[float], *, first_day: int = 0, **given: Any) -> Incident | None:
        """A day after the other."""
        incident: Incident | None = None
        for number, drift in enumerate(drifts, start=first_day):
            incident = self.day(number, drift, **given)
        return incident

    def incident(self, *, more: Sequence[float] = (), **given: Any) -> Incident:
        """Five quiet days and two that opened one, on 2026-11-07; `more` days after them."""
        incident = self.days([*QUIET, *MOVED, *more], **given)
        assert incident is not None
        return incident

    def asked(self, trace_id: str, text: str, feature: str = "explain") -> None:
        """A trace in which a user asked `text`."""
        messages = [{"role": "system", "content": "be kind"}, {"role": "user", "content": text}]
        with self.engine.begin() as connection:
            connection.execute(insert(LLM_TRACES).values(id=trace_id, feature=feature, messages=messages))


def day_of(number: int) -> date:
    return (START + timedelta(days=number)).date()


def at(number: int) -> datetime:
    """When day `number` is looked at: the morning after it."""
    return START + timedelta(days=number + 1, hours=1)
