"""Dagster's own record of old runs: their events, their captured output, and ticks.

What belongs here: what of it is old, and taking it by Dagster's own interface. What does not: the eval store, which
none of this touches (run.purge). A run that has not ended is never taken.

A run's events go before the run itself, so that whoever is interrupted finds the rest again.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorState, TickStatus

from evalops_core.run.progress import Progress, Report, silent

ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
_OVER = [status for status in TickStatus if status is not TickStatus.STARTED]
_BATCH = 100  # runs that are looked up at a time


@dataclass(frozen=True, slots=True)
class OldEvents:
    """`runs` Dagster runs that were last changed from `first` to `last`; `instigators` are the schedules and sensors
    whose old ticks are taken too, which nobody counts."""

    runs: int
    first: datetime | None
    last: datetime | None
    instigators: int


def old_events(instance: dg.DagsterInstance, before: datetime) -> OldEvents:
    """What `purge_events` would take."""
    first, last = (
        instance.get_run_records(_ended(before), limit=1, order_by="update_timestamp", ascending=up)
        for up in (True, False)
    )
    return OldEvents(
        runs=instance.get_runs_count(_ended(before)),
        first=first[0].update_timestamp if first else None,
        last=last[0].update_timestamp if last else None,
        instigators=len(_instigators(instance)),
    )


def purge_events(instance: dg.DagsterInstance, before: datetime, report: Report = silent) -> int:
    """Delete the runs that ended before then, with events and captured output, and old ticks; returns how many runs."""
    total, done, started = instance.get_runs_count(_ended(before)), 0, time.monotonic()
    for run_ids in _batches(instance, before):
        for run_id in run_ids:
            instance.compute_log_manager.delete_logs(prefix=[run_id])
            instance.event_log_storage.delete_events(run_id)
            instance.delete_run(run_id)
            done += 1
            report(Progress("Dagster runs", done, max(total, done), 0, 0, time.monotonic() - started))
    for state in _instigators(instance):
        instance.purge_ticks(state.instigator_origin_id, state.selector_id, before.timestamp(), _OVER)
    return done


def _instigators(instance: dg.DagsterInstance) -> Sequence[InstigatorState]:
    """Schedules and sensors that were ever on; an instance of a test's may have no place for them."""
    return instance.all_instigator_state() if instance.schedule_storage is not None else ()


def _batches(instance: dg.DagsterInstance, before: datetime) -> Iterator[Sequence[str]]:
    """Until none is left: each batch is deleted before the next is asked for."""
    while records := instance.get_run_records(_ended(before), limit=_BATCH, ascending=True):
        yield [record.dagster_run.run_id for record in records]


def _ended(before: datetime) -> dg.RunsFilter:
    return dg.RunsFilter(statuses=list(ENDED), updated_before=before)
