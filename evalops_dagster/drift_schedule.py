"""When drift is looked at by itself: a schedule that ticks every hour, off by default.

What belongs here: the schedule, as Dagster shows it. What does not: what its ticks do (drift_ticks).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from evalops_core.domain.suite import Suite
from evalops_dagster.drift import JOB

if TYPE_CHECKING:
    from evalops_core.wiring import Workshop


def drift_schedules(suites: Mapping[str, Suite], given: "Workshop | None" = None) -> Sequence[dg.ScheduleDefinition]:
    """The one, if there is a feature. `given` takes the place of the workshop that each tick opens for itself."""

    @dg.schedule(
        name="drift_schedule",
        job_name=JOB,
        cron_schedule="30 * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Compares what users asked of each feature on a day with the days before, once a day and feature, "
        "when the day is over. Looks every hour what is due; needs traces (`evalops traces import`).",
    )
    def drift_schedule(context: dg.ScheduleEvaluationContext) -> Sequence[dg.RunRequest] | dg.SkipReason:
        from evalops_dagster.drift_ticks import tick

        return tick(context, suites, given)

    return [drift_schedule] if suites else []
