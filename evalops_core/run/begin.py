"""Which eval run a plan continues, or that it needs a new one.

What belongs here: the choice between resuming, repeating and starting. What does not: the calls (generate, judge).
Whoever calls this holds the gate, so a run that is still `running` belongs to a process that is gone.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from evalops_core.domain.eval_run import EvalRun
from evalops_core.errors import EvalOpsError
from evalops_core.run.plan import Plan
from evalops_core.store.results import CaseResults
from evalops_core.store.runs import EvalRuns, NewRun


@dataclass(frozen=True, slots=True)
class Begun:
    """`how` says whether the run is `new`, `resumed`, or was `done` before, so that nothing needs to be called."""

    run: EvalRun
    how: Literal["new", "resumed", "done"]


def begin(plan: Plan, runs: EvalRuns, now: datetime) -> Begun:
    """The eval run that the plan's results go to.

    A window's scheduled run is done once it is completed. One that did not get that far is continued, unless the suite
    or the model was changed since: then it is closed as failed and a new one begins. A manual run is continued only
    where an earlier one of the same window and plan was interrupted; otherwise each is new.
    """
    before = _unfinished(plan, runs)
    if before is not None:
        if before.run_type == "scheduled" and before.status == "completed":
            return Begun(before, "done")
        if before.plan_key == plan.key.digest:
            runs.adopt(before.id, plan.dagster_run_id)
            return Begun(replace(before, status="running", dagster_run_id=plan.dagster_run_id), "resumed")
        runs.fail(before.id, "the suite or the model changed before the run was finished", now)
    run = runs.insert(_new(plan))
    if run is not None:
        return Begun(run, "new")
    other = runs.scheduled(plan.suite.feature, plan.window.key)  # another replica was quicker
    if other is None:
        raise EvalOpsError(f"{plan.suite.feature}, window {plan.window.key}: the run could not be stored, nor found")
    return Begun(other, "done")


def locate(plan: Plan, runs: EvalRuns) -> EvalRun:
    """The eval run that a later step of the same Dagster run works on.

    It is the one this Dagster run began, or else, where only later steps were chosen, the window's latest.
    """
    feature, key = plan.suite.feature, plan.window.key
    run = None
    if plan.run_type == "scheduled":
        run = runs.scheduled(feature, key)
    elif plan.dagster_run_id is not None:
        run = runs.of_dagster_run(feature, key, plan.dagster_run_id)
    run = run or runs.latest(feature, key)
    if run is None:
        raise EvalOpsError(f"there are no responses of {feature} in window {key} yet: materialize {feature}/responses")
    return run


def rescore(plan: Plan, runs: EvalRuns, results: CaseResults) -> EvalRun:
    """The eval run whose responses are to be judged: located, or a copy of it where its scores are already final.

    Answers are never paid for twice because a rubric changed: a copy is a new manual run over the same responses.
    """
    run = locate(plan, runs)
    same_dagster_run = plan.dagster_run_id is not None and run.dagster_run_id == plan.dagster_run_id
    if run.status == "running" or same_dagster_run or plan.run_type == "scheduled":
        return run
    copy = runs.insert(replace(_new(plan), run_type="manual"))
    if copy is None:
        raise EvalOpsError("a manual run could not be stored")
    results.copy_responses(run.id, copy.id)
    return copy


def _unfinished(plan: Plan, runs: EvalRuns) -> EvalRun | None:
    feature, key = plan.suite.feature, plan.window.key
    if plan.run_type == "scheduled":
        return runs.scheduled(feature, key)
    if plan.dagster_run_id is not None:
        mine = runs.of_dagster_run(feature, key, plan.dagster_run_id)
        if mine is not None and mine.run_type == "manual" and mine.status == "running":
            return mine
    return runs.unfinished_manual(feature, key, plan.key.digest)


def _new(plan: Plan) -> NewRun:
    return NewRun(
        feature=plan.suite.feature,
        window=plan.window,
        run_type=plan.run_type,
        comparability=plan.key,
        git_sha=plan.git_sha,
        dagster_run_id=plan.dagster_run_id,
    )
