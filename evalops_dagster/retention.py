"""How long traces, texts and events are kept: the job that takes old ones, and the schedule that starts it each night.

What belongs here: both, as Dagster shows them. What does not: what is too old and how it is taken (run.purge,
run.trace_desk, event_purge).
"""

from datetime import datetime
from typing import TYPE_CHECKING

import dagster as dg

from evalops_core.settings import load_settings

if TYPE_CHECKING:
    from evalops_core.settings import Settings
    from evalops_core.wiring import Workshop

_TRACES, _TEXTS, _EVENTS = (f"EVALOPS_{kind}_RETENTION_DAYS" for kind in ("TRACE", "TEXT", "EVENT"))
_UNSET = f"{_TRACES}, {_TEXTS} and {_EVENTS} are unset, so everything is kept for ever"


@dg.op(required_resource_keys={"evalops"}, description=f"Deletes traces older than {_TRACES}.")
def delete_old_traces(context: dg.OpExecutionContext) -> None:
    """In no pool, nor are the others: it calls nobody, and need not wait for an eval run."""
    from evalops_core.run.trace_desk import purge_traces

    workshop: Workshop = context.resources.evalops
    if not _configured(workshop.settings):
        raise dg.Failure(f"{_UNSET}; set one to a number of days, and start the job again", allow_retries=False)
    days = workshop.settings.trace_retention_days
    if days is None:
        context.log.info(f"{_TRACES} is unset, so traces are kept for ever")
        return
    purged = purge_traces(workshop.engine, days, workshop.tools.now())
    context.log.info(f"deleted {purged.traces} traces older than {days} days, {purged.embeddings} embeddings")
    context.add_output_metadata({"traces": purged.traces, "embeddings": purged.embeddings})


@dg.op(required_resource_keys={"evalops"}, description=f"Takes texts older than {_TEXTS}; their scores stay.")
def take_old_texts(context: dg.OpExecutionContext) -> None:
    from evalops_core.run.purge import purge_texts

    workshop: Workshop = context.resources.evalops
    before = _before(workshop, workshop.settings.text_retention_days)
    if before is None:
        context.log.info(f"{_TEXTS} is unset, so texts are kept for ever")
        return
    taken = purge_texts(workshop.engine, before)
    context.log.info(f"took the texts of {taken.runs} eval runs and {taken.mails} mails from before {before:%Y-%m-%d}")
    context.add_output_metadata({"eval runs": taken.runs, "mails": taken.mails, "kept judgments": taken.judgments})


@dg.op(required_resource_keys={"evalops"}, description=f"Deletes finished runs of Dagster older than {_EVENTS}.")
def delete_old_events(context: dg.OpExecutionContext) -> None:
    from evalops_dagster.event_purge import purge_events

    workshop: Workshop = context.resources.evalops
    before = _before(workshop, workshop.settings.event_retention_days)
    if before is None:
        context.log.info(f"{_EVENTS} is unset, so Dagster's runs are kept for ever")
        return
    runs = purge_events(context.instance, before)
    context.log.info(f"deleted {runs} Dagster runs from before {before:%Y-%m-%d}, with their events, and old ticks")
    context.add_output_metadata({"Dagster runs": runs})


@dg.job(
    executor_def=dg.in_process_executor,
    description=f"Takes what is old: traces ({_TRACES}), texts ({_TEXTS}), Dagster's runs ({_EVENTS}).",
)
def purge_traces() -> None:
    delete_old_traces()
    take_old_texts()
    delete_old_events()


def retention_schedule(given: "Workshop | None" = None) -> dg.ScheduleDefinition:
    """On by default, for it costs nothing. `given` takes the place of the workshop whose settings count."""

    @dg.schedule(
        name="trace_retention_schedule",
        job=purge_traces,
        cron_schedule="17 3 * * *",  # at no full hour, when eval runs start
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Starts purge_traces every night. Does nothing without {_TRACES}, {_TEXTS} or {_EVENTS}.",
    )
    def trace_retention_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        settings: Settings = load_settings() if given is None else given.settings
        if not _configured(settings):
            return dg.SkipReason(f"{_UNSET}; set one to a number of days")
        return dg.RunRequest(run_key=f"purge_traces:{context.scheduled_execution_time:%Y-%m-%d}")

    return trace_retention_schedule


def _configured(settings: "Settings") -> bool:
    days = (settings.trace_retention_days, settings.text_retention_days, settings.event_retention_days)
    return any(one is not None for one in days)


def _before(workshop: "Workshop", days: int | None) -> datetime | None:
    from evalops_core.run.purge import days_before

    return None if days is None else days_before(days, workshop.tools.now())
