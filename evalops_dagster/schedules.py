"""When eval runs start by themselves: one schedule for each interval, ticking every hour, off by default.

What belongs here: the schedules, as Dagster shows them. What does not: what their ticks do (schedule_ticks).
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from evalops_core.domain.suite import Suite
from evalops_dagster.jobs import job_name

if TYPE_CHECKING:
    from evalops_core.wiring import Workshop

DAILY = "eval_schedule"


def eval_schedules(
    suites: Iterable[Suite], jobs: Iterable[UnresolvedAssetJobDefinition], workshop: "Workshop | None" = None
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
    job: UnresolvedAssetJobDefinition, hours: int, suites: Sequence[Suite], given: "Workshop | None"
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
    def eval_schedule(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        from evalops_dagster.schedule_ticks import tick

        return tick(context, job.name, suites, given)

    return eval_schedule
