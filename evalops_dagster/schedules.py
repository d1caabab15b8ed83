"""When eval runs start by themselves: one schedule for each interval, ticking every hour, off by default.

What belongs here: turning a tick's decision into a run request, or into the reason for none. What does not: the
decision (`run.tick`, `domain.window.due`), what a run does.
"""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from evalops_core.domain.budget import Over
from evalops_core.domain.suite import Suite
from evalops_core.run.daily_budget import check_daily_budget
from evalops_core.run.tick import decide_tick
from evalops_core.settings import load_settings
from evalops_core.wiring import Workshop, open_workshop
from evalops_dagster.features import COVERAGE
from evalops_dagster.jobs import job_name
from evalops_dagster.tags import RUN_TYPE
from evalops_dagster.trend import STEP, TREND

DAILY = "eval_schedule"
_STEPS = ("golden_cases", "responses", "judgments", "eval_score", STEP)
_UNFINISHED = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
)


def eval_schedules(
    suites: Iterable[Suite], jobs: Iterable[UnresolvedAssetJobDefinition], workshop: Workshop | None = None
) -> Sequence[dg.ScheduleDefinition]:
    """A schedule for each job: `eval_schedule` for the daily one, else `eval_schedule_…` with the interval's name.

    `workshop` takes the place of the one that each tick opens for itself.
    """
    by_hours: dict[int, list[Suite]] = {}
    for suite in suites:
        by_hours.setdefault(suite.interval_hours, []).append(suite)
    named = {job.name: job for job in jobs}
    return [_schedule(named[job_name(hours)], hours, chosen, workshop) for hours, chosen in sorted(by_hours.items())]


def schedule_name(interval_hours: int) -> str:
    return DAILY if interval_hours == 24 else f"{DAILY}_{job_name(interval_hours).removeprefix('eval_')}"


def _schedule(
    job: UnresolvedAssetJobDefinition, hours: int, suites: Sequence[Suite], given: Workshop | None
) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=schedule_name(hours),
        job=job,
        cron_schedule="0 * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=f"Evaluates {', '.join(suite.feature for suite in suites)} once in every window of {hours} h. "
        "Looks every hour what is due. Needs EVALOPS_SCHEDULED_ENABLED=true besides being switched on here.",
    )
    def eval_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        settings = load_settings()
        if not settings.scheduled_enabled:  # before anything is opened
            return dg.SkipReason("disabled: set EVALOPS_SCHEDULED_ENABLED=true to let this schedule spend money")
        busy = _unfinished(context.instance, job.name)
        if busy is not None:
            return dg.SkipReason(f"the run before is not finished: {busy}")
        with nullcontext(given) if given else open_workshop(settings) as workshop:
            return _tick(context, workshop, job.name, suites)

    return eval_schedule


def _tick(
    context: dg.ScheduleEvaluationContext, workshop: Workshop, job: str, suites: Sequence[Suite]
) -> dg.RunRequest | dg.SkipReason:
    tick = decide_tick(
        suites,
        workshop.tools.runs,
        workshop.tools.now(),
        over_budget=lambda suite: over_budget(suite, workshop),
    )
    if not tick.start or tick.window is None:
        return dg.SkipReason("; ".join(tick.reasons) or "there is no feature")
    holder = workshop.gate().holder()
    if holder is not None:
        return dg.SkipReason(
            f"due are {', '.join(tick.start)}, but the gate is held by run {holder.run} "
            f"on {holder.host} since {holder.since:%Y-%m-%d %H:%M:%S} UTC"
        )
    for reason in tick.reasons:
        context.log.info(reason)
    return dg.RunRequest(
        run_key=f"{job}:{tick.window.key}",
        partition_key=tick.window.key,
        asset_selection=[dg.AssetKey([feature, step]) for feature in tick.start for step in _STEPS] + [TREND],
        # Else Dagster adds the checks that sensors report, which could only repeat the verdict before this run's.
        asset_check_keys=[dg.AssetCheckKey(dg.AssetKey([feature, "eval_score"]), COVERAGE) for feature in tick.start],
        tags={RUN_TYPE: "scheduled"},
    )


def _unfinished(instance: dg.DagsterInstance, job: str) -> str | None:
    """A scheduled run of this job that is queued or running here, in words."""
    records = instance.get_run_records(
        dg.RunsFilter(job_name=job, statuses=list(_UNFINISHED), tags={RUN_TYPE: "scheduled"}), limit=1
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
