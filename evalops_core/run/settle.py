"""The verdicts on what waits for one, and what follows from them: all of it or nothing.

What belongs here: the order of things within one transaction. What does not: whether anything waits (detect), the
verdict and what it does to an incident (domain), sending (deliver), what a message says (letters).
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Engine

from evalops_core.domain.eval_run import EvalRun
from evalops_core.domain.incident import GoesOn, Incident, Opens, Recovers, after_verdict
from evalops_core.domain.regression import Verdict, measured_alike
from evalops_core.domain.regression.holm import holm
from evalops_core.run.alert_rules import AlertRules
from evalops_core.run.assessing import (
    Finding,
    find,
    slide_json,
    softened,
    unconfirmed,
    with_adjusted_p,
    with_confirmation,
)
from evalops_core.run.detect import Looked
from evalops_core.run.owed import Owed
from evalops_core.store.alerting import Alerting, alerting
from evalops_core.store.runs import EvalRuns

_TESTED = ("paired", "history")
_FAMILY_ERROR = 0.05  # the chance of any false page among the features of one tick
_CONFIRM_WITHIN = timedelta(hours=2)
_BATCH = 200  # runs in one transaction


def settle(
    engine: Engine,
    rules: AlertRules,
    now: datetime,
    busy: Collection[str],
    cannot_confirm: Callable[[EvalRun], str | None],
) -> Looked:
    """Judge what waits, oldest window first, but nothing of the Dagster runs `busy`; `cannot_confirm`: see `detect`."""
    with alerting(engine) as tables:
        runs = tables.verdicts.waiting(_BATCH)
        ready = [run for run in runs if run.dagster_run_id is None or run.dagster_run_id not in busy]
        look = _Look(tables, rules, now, EvalRuns(engine), cannot_confirm)
        for group, members in _together(ready).items():
            look.judge(group, members)
        messages = look.owed.write(tables, now)
    return replace(look.seen, messages=messages, waiting=len(runs) - len(ready), to_confirm=tuple(look.to_confirm))


def _together(runs: Iterable[EvalRun]) -> dict[str, list[EvalRun]]:
    """By what is judged at once: the features that one Dagster run has evaluated."""
    groups: dict[str, list[EvalRun]] = {}
    for run in runs:
        groups.setdefault(run.dagster_run_id or f"eval run {run.id}", []).append(run)
    return groups


@dataclass
class _Look:
    """One transaction's work."""

    tables: Alerting
    rules: AlertRules
    now: datetime
    runs: EvalRuns
    cannot_confirm: Callable[[EvalRun], str | None]
    owed: Owed = field(default_factory=Owed)
    seen: Looked = Looked()
    to_confirm: list[EvalRun] = field(default_factory=list[EvalRun])
    undecided: set[str] = field(default_factory=set[str])  # features whose next windows have to wait

    def judge(self, group: str, runs: Sequence[EvalRun]) -> None:
        """Find, adjust for how many were judged at once, and settle what need not wait for a second run."""
        new = [run for run in runs if not self.tables.verdicts.has(run.id)]
        for run in runs:
            if run not in new:  # whatever its verdict sets off was set off with it
                self.tables.verdicts.checked(run.id, self.now)
        next_in_line = [run for run in new if run.feature not in self.undecided]
        self.seen = replace(self.seen, unconfirmed=self.seen.unconfirmed + len(new) - len(next_in_line))
        found = [find(run, self.tables, self.rules.of(run.feature).rules) for run in next_in_line]
        for finding in self._adjusted(group, found):
            ready = self._confirmed(finding)
            if ready is None:
                self.undecided.add(finding.run.feature)
                self.seen = replace(self.seen, unconfirmed=self.seen.unconfirmed + 1)
            else:
                self._settle(ready, group)

    def _adjusted(self, group: str, found: Sequence[Finding]) -> list[Finding]:
        """Each with its p-value among all of the group, those judged before included (Holm)."""
        tested = [item for item in found if item.verdict.rule in _TESTED and _p(item) is not None]
        before = self.tables.verdicts.p_values_of(group)
        adjusted = holm([*(_p(item) or 0.0 for item in tested), *before])
        among = len(adjusted)
        new = {item.run.id: with_adjusted_p(item, p, among) for item, p in zip(tested, adjusted, strict=False)}
        return [new.get(item.run.id, item) for item in found]

    def _confirmed(self, finding: Finding) -> Finding | None:
        """The finding once it need not wait any longer; None while a second run is owed."""
        said, run = finding.assessment, finding.run
        if said is None or not said.needs_confirmation:
            return finding
        statistics, rules = self.tables.statistics, self.rules.of(run.feature).rules
        asked = statistics.confirmation(run.id)
        if asked is None:
            obstacle = self.cannot_confirm(run)
            if obstacle is not None:
                return unconfirmed(finding, obstacle)
            statistics.want_confirmation(run.id, self.now)
            self.to_confirm.append(run)
            return None
        second = statistics.confirming_run(run.id)
        if second is not None and second.status == "completed":
            statistics.end_confirmation(run.id, second.id, "completed")
            return with_confirmation(finding, self.tables, second, rules)
        ended = second is not None and second.status != "running"
        if not ended and self.now - asked.requested_at < _CONFIRM_WITHIN:
            return None
        why = f"it is {second.status}" if second is not None else "it was not started in time"
        statistics.end_confirmation(run.id, second and second.id, why)
        return unconfirmed(finding, why)

    def _settle(self, finding: Finding, group: str) -> None:
        """Record the verdict and what follows from it."""
        run, tables, feature = finding.run, self.tables, self.rules.of(finding.run.feature)
        finding = self._within_error_rate(finding)
        found, newest = finding.verdict, tables.verdicts.is_newest(run)
        verdict_id = tables.verdicts.record(found, finding.details, self.now)
        if verdict_id is None:
            return
        over = _data_is_back(run, tables, self.owed, group, self.now)
        incident = standing = tables.incidents.standing("regression", run.feature, run.model_id)
        change = None
        if newest:
            change = after_verdict(
                standing,
                found,
                feature.rules.drop,
                measured_alike=standing is None or _alike(run, standing, self.runs),
                against_reference=finding.against_reference,
            )
        if isinstance(change, Opens):
            incident = self._open(run, found, change, group)
        elif isinstance(change, GoesOn) and standing is not None:
            incident = tables.incidents.goes_on(standing.id, change.current)
        elif isinstance(change, Recovers) and standing is not None:
            closed = tables.incidents.close(standing.id, "recovered", self.now, run_id=run.id, current=change.current)
            self.owed.resolves(group, closed, tables, self.now)
            incident, over = None, over + 1
        if incident is not None:
            tables.verdicts.belongs_to(verdict_id, incident.id)
        low = found.outcome == "regressed" or incident is not None
        slide = finding.slide if low else finding.learned
        if newest and slide is not None:
            tables.statistics.keep_slide(run.feature, run.id, slide_json(slide))
        self.seen = replace(
            self.seen,
            judged=self.seen.judged + 1,
            regressed=self.seen.regressed + (found.outcome == "regressed"),
            opened=self.seen.opened + (standing is None and incident is not None),
            recovered=self.seen.recovered + over,
        )

    def _within_error_rate(self, finding: Finding) -> Finding:
        """A warning only, where a page would be one of too many among the features of one tick."""
        adjusted = finding.details.get("adjusted_p")
        if finding.verdict.severity != "page" or adjusted is None or adjusted <= _FAMILY_ERROR:
            return finding
        return softened(finding, adjusted, finding.details["features_judged_at_once"])

    def _open(self, run: EvalRun, found: Verdict, change: Opens, group: str) -> Incident | None:
        incident = self.tables.incidents.open_one(
            "regression",
            run.feature,
            run.model_id,
            self.now,
            run_id=run.id,
            reference=change.reference,
            reference_run_id=found.baseline_run,
            current=change.current,
        )
        if incident is not None:
            self.owed.fires(group, incident, self.rules.of(run.feature).recipients)
        return incident


def _p(finding: Finding) -> float | None:
    return None if finding.assessment is None else finding.assessment.p_value


def _data_is_back(run: EvalRun, tables: Alerting, owed: Owed, group: str, now: datetime) -> bool:
    missing = tables.incidents.standing("no_data", run.feature)
    if missing is None:
        return False
    closed = tables.incidents.close(missing.id, "recovered", now, run_id=run.id, current=run.score)
    owed.resolves(group, closed, tables, now)
    return True


def _alike(run: EvalRun, standing: Incident, runs: EvalRuns) -> bool:
    """Whether the run was measured as the incident's reference was; a reference whose run was deleted counts as so."""
    if standing.reference_run_id is None:
        return True
    return measured_alike(run.comparability, runs.get(standing.reference_run_id).comparability)
