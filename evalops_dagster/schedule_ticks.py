"""What a schedule's tick does: a run request for what is due, or the reason for none.

What belongs here: turning a tick's decision into what Dagster takes. What does not: the decision (`run.tick`,
`domain.window.due`), what a run does, the schedules (schedules). Imported at the first tick.
"""

from collections.abc import Collection, Sequence
from contextlib import nullcontext

import dagster as dg

from evalops_core.domain.budget import Over
from evalops_core.domain.suite import Suite
from evalops_core.run.daily_budget import check_daily_budget
from evalops_core.run.tick import decide_tick
from evalops_core.settings import load_settings
from evalops_core.wiring import Workshop, open_workshop
from evalops_dagster.features import COVERAGE
from evalops_dagster.pool import eval_pool
from evalops_dagster.tags import GATE, RUN_TYPE, feature_of, gate_tag
from evalops_dagster.trend import STEP, TREND

_STEPS = ("golden_cases", "responses", "judgments", "eval_score", STEP)
UNFINISHED = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
)


def tick(
    context: dg.ScheduleEvaluationContext, job: str, suites: Sequence[Suite], given: Workshop | None
) -> list[dg.RunRequest] | dg.SkipReason:
    """`given` takes the place of the workshop that each tick opens for itself."""
    settings = load_settings()
    if not settings.scheduled_enabled:  # before anything is opened
        return dg.SkipReason("disabled: set EVALOPS_SCHEDULED_ENABLED=true to let this schedule spend money")
    unfinished = _unfinished(context.instance, job)
    free = [suite for suite in suites if not unfinished.keys() & {None, suite.feature}]
    if not free:
        return dg.SkipReason(f"the run before is not finished: {next(iter(unfinished.values()))}")
    busy = [f"{feature} has a run that is not finished: {why}" for feature, why in unfinished.items()]
    with nullcontext(given) if given else open_workshop(settings) as workshop:
        return _tick(context, workshop, job, free, busy)


def _tick(
    context: dg.ScheduleEvaluationContext, workshop: Workshop, job: str, suites: Sequence[Suite], busy: list[str]
) -> list[dg.RunRequest] | dg.SkipReason:
    found = decide_tick(
        suites,
        workshop.tools.runs,
        workshop.tools.now(),
        over_budget=lambda suite: over_budget(suite, workshop),
    )
    reasons = [*busy, *found.reasons]
    if not found.start or found.window is None:
        return dg.SkipReason("; ".join(reasons) or "there is no feature")
    together = workshop.settings.gate_scope == "all"
    requests: list[dg.RunRequest] = []
    for features in [found.start] if together else [(feature,) for feature in found.start]:
        holder = workshop.gate_of(features).holder()
        if holder is None:
            requests.append(_request(job, found.window.key, features, together=together))
        else:
            reasons.append(f"due are {', '.join(features)}, but the gate is held by {holder}")
    if not requests:
        return dg.SkipReason("; ".join(reasons))
    for reason in reasons:
        context.log.info(reason)
    _ensure_pools(context.instance, {eval_pool(suite.feature, workshop.settings.gate_scope) for suite in suites})
    return requests


def _request(job: str, window: str, features: Sequence[str], *, together: bool) -> dg.RunRequest:
    """A run of the features, all that are due or each by itself."""
    return dg.RunRequest(
        run_key=f"{job}:{window}" if together else f"{job}:{features[0]}:{window}",
        partition_key=window,
        asset_selection=[dg.AssetKey([feature, step]) for feature in features for step in _STEPS] + [TREND],
        # Else Dagster adds the checks that sensors report, which could only repeat the verdict before this run's.
        asset_check_keys=[dg.AssetCheckKey(dg.AssetKey([feature, "eval_score"]), COVERAGE) for feature in features],
        tags={RUN_TYPE: "scheduled"} if together else {RUN_TYPE: "scheduled", GATE: gate_tag(features[0])},
    )


def _unfinished(instance: dg.DagsterInstance, job: str) -> dict[str | None, str]:
    """Scheduled runs of this job that are queued or running here, in words, by the feature that they are of alone; None
    for one of several features."""
    records = instance.get_run_records(
        dg.RunsFilter(job_name=job, statuses=list(UNFINISHED), tags={RUN_TYPE: "scheduled"})
    )
    return {
        _alone(run): f"run {run.run_id} is {run.status.value.lower().replace('_', ' ')}" for run in map(_of, records)
    }


def _of(record: dg.RunRecord) -> dg.DagsterRun:
    return record.dagster_run


def _alone(run: dg.DagsterRun) -> str | None:
    return feature_of(run.tags.get(GATE, ""))


def _ensure_pools(instance: dg.DagsterInstance, wanted: Collection[str]) -> None:
    """Also where Dagster's storage is not ours (its Helm chart configures one of its own), or a suite is new."""
    known = {limit.name for limit in instance.event_log_storage.get_pool_limits()}
    for pool in sorted(set(wanted) - known):
        instance.event_log_storage.set_concurrency_slots(pool, 1)


def over_budget(suite: Suite, workshop: Workshop) -> str | None:
    """That the daily budget leaves no room for a run of the suite, in words."""
    tools = workshop.tools
    state = check_daily_budget(suite, tools.ledger, tools.spending, tools.now())
    return state.words if isinstance(state, Over) else None
