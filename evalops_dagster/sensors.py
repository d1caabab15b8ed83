"""What watches over eval runs and days of drift: the reaper, which frees the queue from runs whose process is gone.

What belongs here: looking and telling Dagster. What does not: the gate itself (store).

Worker and code server killed together leave a run that Dagster believes started; its default launcher never looks after
the process. Such a run would keep the pool's only slot for ever, though its lock went with its session.
"""

import json
from datetime import datetime, timedelta, timezone

import dagster as dg

from evalops_core.settings import load_settings
from evalops_dagster.pool import is_gated
from evalops_dagster.tags import BY_COMMAND

GRACE = timedelta(seconds=60)  # a run has started before it opens its session


def gate_reaper(grace: timedelta = GRACE, every_s: int = 15) -> dg.SensorDefinition:
    """Looks every `every_s` seconds after runs that have been going on for more than `grace`."""

    @dg.sensor(
        name="gate_reaper_sensor",
        minimum_interval_seconds=every_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Fails runs of evaluations and of drift whose process is gone, so that the next one may start. "
        "Costs nothing.",
    )
    def gate_reaper_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        """A run is failed when two looks in a row find no session of its process in the database.

        The cursor holds the runs that the last look missed, as a JSON list.
        """
        started = context.instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        runs = {record.dagster_run.run_id for record in started if _gated(record) and _settled(record, grace)}
        if not runs:
            return dg.SensorResult(skip_reason="no eval run is going on", cursor="[]")
        from evalops_core.wiring import open_workshop  # the first time that an eval run goes on

        with open_workshop(load_settings()) as workshop:
            missing = runs - workshop.gate().runs_present()
        missing_twice = missing & set(json.loads(context.cursor or "[]"))
        dead = {run_id for run_id in missing_twice if _fail(context.instance, run_id)}
        words = f"{len(runs)} going on, {len(missing)} without a process"
        if dead:
            words = f"failed {', '.join(sorted(dead))}"
        return dg.SensorResult(skip_reason=words, cursor=json.dumps(sorted(missing - dead)))

    return gate_reaper_sensor


def _fail(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether it was failed: it may have ended in good order since it was missed."""
    run = instance.get_run_by_id(run_id)
    if run is None or run.status is not dg.DagsterRunStatus.STARTED:
        return False
    instance.report_run_failed(
        run,
        "The process of this run is gone: it was killed, its host went down, or it ended while Dagster's database was "
        "out of reach and could not say why. Run it again to go on.",
    )
    return True


def _gated(record: dg.RunRecord) -> bool:
    """Whether the run holds a gate while it works; runs of the command have no place in the queue, but a tag."""
    run = record.dagster_run
    pools = run.run_op_concurrency.all_pools if run.run_op_concurrency else None
    return is_gated(pools or ()) or BY_COMMAND in run.tags


def _settled(record: dg.RunRecord, grace: timedelta) -> bool:
    started = record.start_time
    return started is not None and datetime.now(timezone.utc).timestamp() - started > grace.total_seconds()
