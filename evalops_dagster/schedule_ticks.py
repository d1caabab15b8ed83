"""What a schedule's tick does: a run request for what is due, or the reason for none.

What belongs here: turning a tick's decision into what Dagster takes. What does not: the decision (`run.tick`,
`domain.window.due`), what a run does, the schedules (schedules). Imported at the first tick.
"""

from collections.abc import Sequence
from contextlib import nullcontext

import dagster as dg

from evalops_core.domain.budget import Over
from evalops_core.domain.suite import Suite
from evalops_core.run.daily_budget import check_daily_budget
from evalops_core.run.tick import decide_tick
from evalops_core.settings import load_settings
from evalops_core.wiring import Workshop, open_workshop
from evalops_dagster.features import COVERAGE
from evalops_dagster.tags import RUN_TYPE
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
) -> dg.RunRequest | dg.SkipReason:
    """`given` takes the place of the workshop that each tick opens for itself."""
    settings = load_settings()
    if not settings.scheduled_enabled:  # before anything is opened
        return dg.SkipReason("disabled: set EVALOPS_SCHEDULED_ENABLED=true to let this schedule spend money")
    busy = _unfinished(context.instance, job)
    if busy is not None:
        return dg.SkipReason(f"the run before is not finished: {busy}")
    with nullcontext(given) if given else open_workshop(settings) as workshop:
        return _tick(context, workshop, job, suites)


def _tick(
    context: dg.ScheduleEvaluationContext, workshop: Workshop, job: str, suites: Sequence[Suite]
) -> dg.RunRequest | dg.SkipReason:
    found = decide_tick(
        suites,
        workshop.tools.runs,
        workshop.tools.now(),
        over_budget=lambda suite: over_budget(suite, workshop),
    )
    if not found.start or found.window is None:
        return dg.SkipReason("; ".join(found.reasons) or "there is no feature")
    holder = workshop.gate().holder()
    if holder is not None:
        return dg.SkipReason(
            f"due are {', '.join(found.start)}, but the gate is held by run {holder.run} "
            f"on {holder.host} since {holder.since:%Y-%m-%d %H:%M:%S} UTC"
        )
    for reason in found.reasons:
        context.log.info(reason)
    return dg.RunRequest(
        run_key=f"{job}:{found.window.key}",
        partition_key=found.window.key,
        asset_selection=[dg.AssetKey([feature, step]) for feature in found.start for step in _STEPS] + [TREND],
        # Else Dagster adds the checks that sensors report, which could only repeat the verdict before this run's.
        asset_check_keys=[dg.AssetCheckKey(dg.AssetKey([feature, "eval_score"]), COVERAGE) for feature in found.start],
        tags={RUN_TYPE: "scheduled"},
    )


def _unfinished(instance: dg.DagsterInstance, job: str) -> str | None:
    """A scheduled run of this job that is queued or running here, in words."""
    records = instance.get_run_records(
        dg.RunsFilter(job_name=job, statuses=list(UNFINISHED), tags={RUN_TYPE: "scheduled"}), limit=1
    )
    if not records:
        return None
    run = records[0].dagster_run
    return f"run {run.run_id} is {run.status.value.lower().replace('_', ' ')}"


def over_budget(suite: Suite, workshop: Workshop) -> str | None:
    """That the daily budget leaves no room for a run of the suite, in words."""
    tools = workshop.tools
    state = check_daily_budget(suite, tools.ledger, tools.spending, tools.now())
    return state.words if isinstance(state, Over) else None
