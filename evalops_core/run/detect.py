"""From new scheduled scores to verdicts, incidents and the messages they owe: all of it or nothing.

What belongs here: the order of things within one transaction. What does not: the verdict and what it does to an
incident (domain), sending (deliver), what a message says (letters).

Nothing depends on where a caller's cursor stands: the runs that wait for a verdict are known to the database, and the
unique keys let each verdict, incident and message be made once, whoever looks, however often, and wherever it dies.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Engine

from evalops_core.domain.comparability import differences
from evalops_core.domain.eval_run import EvalRun
from evalops_core.domain.incident import GoesOn, Incident, Opens, Recovers, after_verdict, is_silent
from evalops_core.domain.regression import Verdict, measured_alike, verdict
from evalops_core.run.alert_rules import AlertRules
from evalops_core.store.alerting import Alerting, alerting, reading
from evalops_core.store.outbox import NOBODY, Transition, enqueue, told
from evalops_core.store.runs import EvalRuns
from evalops_core.store.verdicts import Judged

_BATCH = 200  # runs in one transaction


@dataclass
class Owed:
    """Messages still to be written: who is to be told of which incidents in one mail. `group` keeps mails apart."""

    _by: dict[tuple[str, Transition, str], list[int]] = field(
        default_factory=dict[tuple[str, Transition, str], list[int]]
    )

    def fires(self, group: str, incident: Incident, recipients: Collection[str]) -> None:
        """Everybody is told; where there is nobody, the message is kept for whoever looks."""
        for recipient in recipients or (NOBODY,):
            self._by.setdefault((group, "firing", recipient), []).append(incident.id)

    def resolves(self, group: str, incident: Incident, tables: Alerting) -> None:
        """Those are told who got the firing mail, or still may."""
        for recipient, state in told(tables.connection, incident.id).items():
            if state in ("sent", "due"):
                self._by.setdefault((group, "resolved", recipient), []).append(incident.id)

    def write(self, tables: Alerting, now: datetime) -> int:
        """How many messages that came to."""
        made = [
            enqueue(tables.connection, transition, recipient, incidents, now)
            for (_, transition, recipient), incidents in self._by.items()
        ]
        return sum(message is not None for message in made)


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look found: verdicts by outcome, incidents, messages; `waiting` runs belong to a Dagster run that goes
    on, whose other features may have something to say in the same mail."""

    judged: int = 0
    regressed: int = 0
    opened: int = 0
    recovered: int = 0
    messages: int = 0
    waiting: int = 0


def detect(
    engine: Engine, rules: AlertRules, now: datetime, *, in_progress: Callable[[], Collection[str]] = tuple
) -> Looked:
    """Judge the scheduled runs that ended since the last look, oldest window first, in one transaction.

    `in_progress` gives the (root) ids of Dagster runs that have not ended: theirs are left for a later look. It is
    asked only where there is anything to judge.
    """
    with reading(engine) as tables:
        if not tables.verdicts.waiting(1):
            return Looked()
    busy = in_progress()
    owed = Owed()
    regressed = opened = recovered = 0
    with alerting(engine) as tables:
        runs = tables.verdicts.waiting(_BATCH)
        ready = [run for run in runs if run.dagster_run_id is None or run.dagster_run_id not in busy]
        for run in ready:
            done = _judge(run, tables, rules, owed, now, EvalRuns(engine))
            regressed, opened, recovered = regressed + done[0], opened + done[1], recovered + done[2]
        messages = owed.write(tables, now)
    return Looked(len(ready), regressed, opened, recovered, messages, len(runs) - len(ready))


def _judge(
    run: EvalRun, tables: Alerting, rules: AlertRules, owed: Owed, now: datetime, runs: EvalRuns
) -> tuple[bool, bool, int]:
    """Whether the run has regressed and opened an incident, and how many incidents are over by it."""
    feature, group = rules.of(run.feature), run.dagster_run_id or f"eval run {run.id}"
    newest = tables.verdicts.is_newest(run)
    history = tables.verdicts.earlier(run)
    found = verdict(run, history, feature.rules)
    verdict_id = tables.verdicts.record(found, _details(run, history, found), now)
    if verdict_id is None:  # whatever it sets off was set off with it
        return False, False, 0
    over = _data_is_back(run, tables, owed, group, now)
    incident = standing = tables.incidents.standing("regression", run.feature, run.model_id)
    alike = standing is None or _alike(run, standing, runs)
    change = after_verdict(standing, found, feature.rules.drop, measured_alike=alike) if newest else None
    if isinstance(change, Opens):
        incident = tables.incidents.open_one(
            "regression",
            run.feature,
            run.model_id,
            now,
            run_id=run.id,
            reference=change.reference,
            reference_run_id=found.baseline_run,
            current=change.current,
        )
        if incident is not None and incident.state == "firing":
            owed.fires(group, incident, feature.recipients)
    elif isinstance(change, GoesOn) and standing is not None:
        incident = tables.incidents.goes_on(standing.id, change.current)
    elif isinstance(change, Recovers) and standing is not None:
        closed = tables.incidents.close(standing.id, "recovered", now, run_id=run.id, current=change.current)
        if not is_silent(closed.silenced_until, now):
            owed.resolves(group, closed, tables)
        incident, over = None, over + 1
    if incident is not None:
        tables.verdicts.belongs_to(verdict_id, incident.id)
    return found.outcome == "regressed", standing is None and incident is not None, over


def verdicts_since(engine: Engine, verdict_id: int | None, features: Iterable[str], limit: int) -> list[Judged]:
    """The verdicts after that one, oldest first; without one, the newest of each feature, so that a reader that starts
    anew does not go through all of history."""
    with reading(engine) as tables:
        if verdict_id is not None:
            return tables.verdicts.after(verdict_id, limit)
        newest = [tables.verdicts.newest_of(feature) for feature in features]
        return sorted((judged for judged in newest if judged is not None), key=lambda judged: judged.id)


def standing_verdict(engine: Engine, feature: str) -> Judged | None:
    """The verdict on the feature's newest scheduled score."""
    with reading(engine) as tables:
        return tables.verdicts.newest_of(feature)


def _data_is_back(run: EvalRun, tables: Alerting, owed: Owed, group: str, now: datetime) -> bool:
    missing = tables.incidents.standing("no_data", run.feature)
    if missing is None:
        return False
    closed = tables.incidents.close(missing.id, "recovered", now, run_id=run.id, current=run.score)
    if not is_silent(closed.silenced_until, now):
        owed.resolves(group, closed, tables)
    return True


def _alike(run: EvalRun, standing: Incident, runs: EvalRuns) -> bool:
    """Whether the run was measured as the incident's reference was; a reference whose run was deleted counts as so."""
    if standing.reference_run_id is None:
        return True
    return measured_alike(run.comparability, runs.get(standing.reference_run_id).comparability)


def _details(run: EvalRun, history: Collection[EvalRun], found: Verdict) -> dict[str, Any]:
    """What a person asks next: how many cases, how sure, and what else is different."""
    details: dict[str, Any] = {"n": run.n, "se": None if run.se is None else str(run.se)}
    baseline = next((other for other in history if other.id == found.baseline_run), None)
    if baseline is not None:
        details |= {
            "baseline_n": baseline.n,
            "changed": differences(baseline.comparability, run.comparability),
            "git_sha": [baseline.git_sha, run.git_sha],
        }
    return details
