"""What Dagster's storage tells of the processes that work on it: nothing of them is started, and nothing written.

What belongs here: reading it. What does not: what follows from it (evalops_core.run.doctor.background).
"""

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from evalops_core.errors import EvalOpsError
from evalops_core.run.doctor.background import Background, background, no_tables, out_of_reach, refused
from evalops_core.run.doctor.finding import Finding
from evalops_core.wiring import dagster_tables

if TYPE_CHECKING:
    from pydantic import SecretStr

    from evalops_core.settings import Settings

# Without these, no schedule or sensor ticks and no queued run starts.
_DAEMONS = {"SCHEDULER": "scheduler", "SENSOR": "sensors", "QUEUED_RUN_COORDINATOR": "queue"}


def look_at_dagster(settings: "Settings", store: "SecretStr | None") -> list[Finding]:
    """`store` is the eval store's URL, None where that cannot be had."""
    own = settings.dagster_database_url is not None
    if store is None and not own:
        return out_of_reach(None)
    try:
        url = dagster_tables(settings, store)
    except EvalOpsError as error:
        return out_of_reach(str(error) if own else None)
    except DBAPIError as error:
        return refused(_sentence(error))
    if url is None:
        return no_tables()
    try:
        seen = _seen(url, settings)
    except DBAPIError as error:
        return refused(_sentence(error))
    return background(seen, enabled=settings.scheduled_enabled)


def _sentence(error: DBAPIError) -> str:
    """The server's first line: the rest shows the statement."""
    return str(error.orig).strip().partition("\n")[0]


def _seen(url: "SecretStr", settings: "Settings") -> Background:
    from dagster._core.definitions.run_request import InstigatorType
    from dagster._core.scheduler.instigation import InstigatorStatus
    from dagster_postgres import DagsterPostgresStorage

    from evalops_dagster.storage import wanted_pools

    storage = DagsterPostgresStorage(postgres_url=url.get_secret_value(), should_autocreate_tables=False)
    version = storage.event_log_storage.alembic_version()
    beats = storage.run_storage.get_daemon_heartbeats()
    now = datetime.now(timezone.utc).timestamp()
    states = storage.schedule_storage.all_instigator_state(
        instigator_type=InstigatorType.SCHEDULE, instigator_statuses={InstigatorStatus.RUNNING}
    )
    pools = {pool.name for pool in storage.event_log_storage.get_pool_limits()}
    found, needed = version or (None, None)
    return Background(
        found=found or "no revision",
        needed=str(needed or "no revision"),
        pools=sorted(wanted_pools(settings) - pools),
        silent_s={
            words: max(0.0, now - beats[daemon].timestamp) for daemon, words in _DAEMONS.items() if daemon in beats
        },
        failing=[words for daemon, words in _DAEMONS.items() if daemon in beats and beats[daemon].errors],
        schedules=sorted(
            {state.instigator_name for state in states if state.instigator_name.startswith("eval_schedule")}
        ),
    )
