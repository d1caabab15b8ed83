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
from evalops_core.store.runs import EvalRuns, NewRun, require_texts


@dataclass(frozen=True, slots=True)
class Begun:
    """`how` says whether the run is `new`, `resumed`, or was `done` before, so that nothing needs to be called."""

    run: EvalRun
    how: Literal["new", "resumed", "done"]


def begin(plan: Plan, runs: EvalRuns, now: datetime) -> Begun:
    """The eval run that the plan's results go to.

    A window's scheduled run is done once it is completed. One that did not get that far is continued, unless the suite
    or the model was changed since, or its texts were purged: then it is closed as failed and a new one begins. A manual
    run is continued only where an earlier one of the same window and plan was interrupted; otherwise each is new.
    """
    runs.fail_left_over(plan.suite.feature, plan.window.start, now)
    before = _unfinished(plan, runs)
    if before is not None:
        if before.run_type == "scheduled" and before.status == "completed":
            return Begun(before, "done")
        if _goes_on(before, plan):
            return Begun(runs.adopt(before.id, plan.dagster_run_id), "resumed")
        changed = "the suite or the model changed" if before.texts_purged_at is None else "its texts were purged"
        runs.fail(before.id, f"{changed} before the run was finished", now)
    run = runs.insert(_new(plan))
    if run is not None:
        return Begun(run, "new")
    other = runs.scheduled(plan.suite.feature, plan.window.key)  # another replica was quicker
    if other is None:
        raise EvalOpsError(f"{plan.suite.feature}, window {plan.window.key}: the run could not be stored, nor found")
    return Begun(other, "done")


def continued(plan: Plan, runs: EvalRuns) -> EvalRun | None:
    """The eval run that `begin` would go on with, or find done; nothing is changed."""
    before = _unfinished(plan, runs)
    if before is None or (before.run_type == "scheduled" and before.status == "completed"):
        return before
    return before if _goes_on(before, plan) else None


def locate(plan: Plan, runs: EvalRuns) -> EvalRun:
    """The eval run that a later step of the same Dagster run works on.

    It is the one this Dagster run began, or else, where only later steps were chosen, the window's latest that is not
    somebody else's unfinished work.
    """
    feature, key = plan.suite.feature, plan.window.key
    run = None
    if plan.dagster_run_id is not None:
        run = runs.of_dagster_run(feature, key, plan.dagster_run_id)
    if run is None and plan.run_type == "scheduled":
        run = runs.scheduled(feature, key)
    if run is None:
        run = runs.latest_ended(feature, key)
    if run is None:
        raise EvalOpsError(
            f"there are no finished responses of {feature} in window {key} yet: materialize {feature}/responses"
        )
    return run


def rescore(plan: Plan, runs: EvalRuns, results: CaseResults) -> EvalRun:
    """The eval run whose responses are to be judged: located, or a copy of it where its scores are already final.

    Answers are never paid for twice because a rubric changed: a copy is a new manual run over the same responses, and
    keeps what they were made from. EvalOpsError where today's cases or prompt are others than those answered, and where
    the answers were purged.
    """
    run = locate(plan, runs)
    mine = plan.dagster_run_id is not None and run.dagster_run_id == plan.dagster_run_id
    same_scorers = run.comparability.scorers == plan.scorers_version
    if (mine and same_scorers) or (plan.run_type == "scheduled" and run.run_type == "scheduled"):
        return run
    require_texts(run)
    asked, answered = plan.key, run.comparability
    if (asked.dataset, asked.prompt, asked.cases) != (answered.dataset, answered.prompt, answered.cases):
        raise EvalOpsError(
            f"the answers of eval run {run.id} were made from other cases or another prompt of {run.feature}: "
            f"materialize {run.feature}/responses too"
        )
    judged = replace(answered, scorers=asked.scorers, judge=asked.judge, judge_parameters=asked.judge_parameters)
    copy = runs.insert(replace(_new(plan), run_type="manual", comparability=judged, git_sha=run.git_sha))
    if copy is None:
        raise EvalOpsError("a manual run could not be stored")
    results.copy_responses(run.id, copy.id)
    return copy


def _unfinished(plan: Plan, runs: EvalRuns) -> EvalRun | None:
    feature, key = plan.suite.feature, plan.window.key
    mine = None
    if plan.dagster_run_id is not None:
        mine = runs.of_dagster_run(feature, key, plan.dagster_run_id)
    if mine is not None and mine.status != "completed":
        return mine
    if plan.run_type == "scheduled":
        return runs.scheduled(feature, key)
    if plan.confirms_run_id is not None:
        return None  # a second look has to be one: never a person's run that was cut short
    return runs.unfinished_manual(feature, key, plan.resume_key)


def _goes_on(before: EvalRun, plan: Plan) -> bool:
    return before.plan_key == plan.resume_key and before.texts_purged_at is None


def _new(plan: Plan) -> NewRun:
    return NewRun(
        feature=plan.suite.feature,
        window=plan.window,
        run_type=plan.run_type,
        comparability=plan.key,
        plan_key=plan.resume_key,
        weights={f"{scorer}.{axis}": weight for (scorer, axis), weight in plan.weights.items()},
        git_sha=plan.git_sha,
        dagster_run_id=plan.dagster_run_id,
        confirms_run_id=plan.confirms_run_id,
    )
