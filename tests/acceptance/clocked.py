"""A deployment that lives by a clock of the test's: `-m` of a code server, and with `-w` of its daemon.

What belongs here: that clock, and who is told its time instead of the machine's. What does not: what happens when.

The clock is in the eval database, because the database tells the time too: `created_at` of an eval run decides when the
next one is due. Everything else of the project and of Dagster is as it is, and lives by the machine's clock: queue,
gate, run monitoring, reaper.
"""

import sys
from dataclasses import replace
from datetime import datetime, timezone
from threading import Event
from typing import Any

import dagster as dg
from dagster._core.scheduler.scheduler import DagsterDaemonScheduler
from dagster._core.workspace.context import IWorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._daemon.controller import create_daemons_from_instance, daemon_controller_from_instance
from dagster._daemon.daemon import DaemonIterator, DagsterDaemon, SchedulerDaemon
from dagster._scheduler.scheduler import ScheduleIterationTimes, launch_scheduled_runs
from sqlalchemy import Engine, text

from evalops_core.settings import load_settings
from evalops_core.wiring import installed_since, open_store, read_suites, workshop_over
from evalops_dagster.definitions import build_definitions

MODULE = "tests.acceptance.clocked"
_LOOK_EVERY_S = 0.1
_MAKE = """
    CREATE TABLE public.test_clock AS SELECT CAST(:now AS timestamptz) AS now;
    CREATE FUNCTION public.test_now() RETURNS timestamptz LANGUAGE sql AS 'SELECT now FROM public.test_clock';
    ALTER TABLE evalops.eval_runs ALTER created_at SET DEFAULT public.test_now();
    UPDATE evalops.deployment SET value = :now WHERE key = 'installed_at';
"""


class SharedClock:
    """The time in the eval database behind `engine`; it stands still until it is set."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def make(self, now: datetime) -> None:
        """Also the time at which the store was installed, so that there are windows from then on."""
        with self._engine.begin() as connection:
            connection.execute(text(_MAKE), {"now": now.isoformat()})

    def set(self, now: datetime) -> None:
        with self._engine.begin() as connection:
            connection.execute(text("UPDATE public.test_clock SET now = :now"), {"now": now})

    def now(self) -> datetime:
        with self._engine.connect() as connection:
            now: datetime = connection.execute(text("SELECT public.test_now()")).scalar_one()
        return now.astimezone(timezone.utc)


@dg.definitions
def defs() -> dg.Definitions:
    settings = load_settings()
    workshop = workshop_over(open_store(settings), settings)
    tools = replace(workshop.tools, now=SharedClock(workshop.engine).now)
    return build_definitions(
        suites=read_suites(settings).usable,
        since=installed_since(settings),
        workshop=replace(workshop, tools=tools),
    )


class ClockedScheduler(SchedulerDaemon):
    """Dagster's scheduler, except that it lives by the clock and looks at it more often than every minute.

    It takes the place of the one that lives by the machine's clock: that one's tick at a full hour, long after all of
    the test's, would be the schedule's last, and none of the test's would be later than it.
    """

    def core_loop(
        self, workspace_process_context: IWorkspaceProcessContext[Any], shutdown_event: Event
    ) -> DaemonIterator:
        clock = SharedClock(open_store(load_settings()))
        scheduler = workspace_process_context.instance.scheduler
        assert isinstance(scheduler, DagsterDaemonScheduler)
        iterations: dict[str, ScheduleIterationTimes] = {}
        seen = datetime.min.replace(tzinfo=timezone.utc)
        while True:
            now = clock.now()
            if now > seen:
                yield from launch_scheduled_runs(
                    workspace_process_context,
                    self._logger,
                    end_datetime_utc=now,
                    iteration_times=iterations,
                    max_catchup_runs=scheduler.max_catchup_runs,
                    max_tick_retries=scheduler.max_tick_retries,
                )
                seen = now
            shutdown_event.wait(_LOOK_EVERY_S)
            yield


def run_daemons(workspace: str) -> None:
    """All of them, as `dagster-daemon run` does."""
    with (
        dg.DagsterInstance.get() as instance,
        daemon_controller_from_instance(instance, WorkspaceFileTarget([workspace]), gen_daemons=_daemons) as controller,
    ):
        controller.check_daemon_loop()


def _daemons(instance: dg.DagsterInstance) -> list[DagsterDaemon[Any]]:
    usual = create_daemons_from_instance(instance)
    return [ClockedScheduler() if isinstance(daemon, SchedulerDaemon) else daemon for daemon in usual]


if __name__ == "__main__":
    run_daemons(sys.argv[sys.argv.index("-w") + 1])
