"""The Celery app of workers that execute Dagster's runs, made of the same block that the runs are launched by.

What belongs here: the defaults that an eval run needs, and refusing what would lose runs. What does not: Dagster's
launcher and its tasks (dagster-celery), what to start (celery_app), what to configure (docs/distributed.md).

Dagster's own `dagster_celery.app` takes broker and result backend from a module that its command writes, passwords
included, and executes single steps, too.
"""

from typing import Any

from celery import Celery
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tasks import create_execute_job_task

from evalops_core.errors import ConfigError
from evalops_core.settings import Settings
from evalops_dagster.launchers import refuse_embedded_database

# As long as `config_source` of the launcher's block says nothing else.
_DEFAULTS: dict[str, Any] = {
    "worker_concurrency": 1,
    # One process a run: nothing of the suites or of the memory of the run before is left in it.
    "worker_max_tasks_per_child": 1,
    # A worker that is busy takes no second run, which an idle one could begin with (Redis only).
    "worker_disable_prefetch": True,
    "broker_connection_retry_on_startup": True,
    # Dagster asks for a run's state for as long as it goes on; Celery forgets it after a day.
    "result_expires": 7 * 24 * 3600,
}


def make_worker_app(launcher: object, settings: Settings) -> Celery:
    """The app for `launcher`, the instance's. ConfigError where it is none of Celery's, or would lose runs."""
    if not isinstance(launcher, CeleryRunLauncher):
        raise ConfigError(
            "is expected to be dagster_celery's CeleryRunLauncher, for whose runs this worker is; add the block of "
            "docs/distributed.md to the dagster.yaml in DAGSTER_HOME",
            key="run_launcher",
        )
    refuse_embedded_database("CeleryRunLauncher", settings)
    if (launcher.backend or "rpc").startswith("rpc"):
        raise ConfigError(
            "is expected to be a result backend that every process can read, such as redis://…; with rpc:// Dagster "
            "cannot see a run's state, and would fail each of them at its next look",
            key="run_launcher.config.backend",
        )
    app = launcher.celery
    app.conf.update({name: value for name, value in _DEFAULTS.items() if name not in launcher.config_source})
    # Acknowledged when it begins: a run that is cut short is launched anew by Dagster, under another id. A broker that
    # delivered it again, as Redis does after an hour without an acknowledgement, would start it a second time.
    once: dict[str, Any] = {"acks_late": False, "shared": False}
    create_execute_job_task(app, **once)
    return app
