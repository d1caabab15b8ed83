"""How long traces are kept: the job that deletes old ones, and the schedule that starts it once a day.

What belongs here: both, as Dagster shows them. What does not: what is too old (run.trace_desk).
"""

from typing import TYPE_CHECKING

import dagster as dg

from evalops_core.settings import load_settings

if TYPE_CHECKING:
    from evalops_core.settings import Settings
    from evalops_core.wiring import Workshop

_UNSET = "EVALOPS_TRACE_RETENTION_DAYS is unset, so traces are kept for ever"


@dg.op(required_resource_keys={"evalops"}, description="Deletes traces older than EVALOPS_TRACE_RETENTION_DAYS.")
def delete_old_traces(context: dg.OpExecutionContext) -> None:
    """In no pool: it calls nobody, and need not wait for an eval run."""
    from evalops_core.run.trace_desk import purge_traces

    workshop: Workshop = context.resources.evalops
    days = workshop.settings.trace_retention_days
    if days is None:
        raise dg.Failure(f"{_UNSET}; set it to a number of days, and start the job again", allow_retries=False)
    purged = purge_traces(workshop.engine, days, workshop.tools.now())
    context.log.info(f"deleted {purged.traces} traces older than {days} days, {purged.embeddings} embeddings")
    context.add_output_metadata({"traces": purged.traces, "embeddings": purged.embeddings})


@dg.job(
    executor_def=dg.in_process_executor,
    description="Deletes traces of production that are older than EVALOPS_TRACE_RETENTION_DAYS.",
)
def purge_traces() -> None:
    delete_old_traces()


def retention_schedule(given: "Workshop | None" = None) -> dg.ScheduleDefinition:
    """On by default, for it costs nothing. `given` takes the place of the workshop whose settings count."""

    @dg.schedule(
        name="trace_retention_schedule",
        job=purge_traces,
        cron_schedule="17 3 * * *",  # at no full hour, when eval runs start
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Starts purge_traces every night. Does nothing without EVALOPS_TRACE_RETENTION_DAYS.",
    )
    def trace_retention_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        settings: Settings = load_settings() if given is None else given.settings
        if settings.trace_retention_days is None:
            return dg.SkipReason(f"{_UNSET}; set it to a number of days")
        return dg.RunRequest(run_key=f"purge_traces:{context.scheduled_execution_time:%Y-%m-%d}")

    return trace_retention_schedule
