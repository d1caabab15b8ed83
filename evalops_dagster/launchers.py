"""What Dagster's run launchers need of the settings when they start runs on other machines.

What belongs here: refusing, in one sentence, what would work on one machine only. What does not: the launchers
themselves, which are Dagster's and stand in `dagster.yaml` (docs/distributed.md).
"""

import dagster as dg

from evalops_core.errors import ConfigError
from evalops_core.settings import Settings

_HERE = "DefaultRunLauncher"  # runs are children of the code server, on its machine


def refuse_database_of_one_machine(instance: dg.DagsterInstance | None, settings: Settings) -> None:
    """ConfigError where runs may be started on other machines, and each would have an embedded database of its own.

    The lock in one of these excludes nobody on the others, and what a run stores there nobody else would see.
    """
    launcher = _HERE if instance is None else _launcher(instance)
    if launcher != _HERE:
        refuse_embedded_database(launcher, settings)


def refuse_embedded_database(launcher: str, settings: Settings) -> None:
    """ConfigError unless the settings name a database; `launcher` is the class that starts runs on other machines."""
    if settings.database_url is None:
        raise ConfigError(
            f"is not set, and the {launcher} of dagster.yaml starts runs on other machines, where each would have an "
            "embedded database of its own and a gate that excludes nobody; set it to one PostgreSQL for all of them",
            key="EVALOPS_DATABASE_URL",
        )


def _launcher(instance: dg.DagsterInstance) -> str:
    """The class of its run launcher; that of an instance for one process is never asked to start another.

    Not `instance.run_launcher`: that makes one, for which a run's own process may lack what is needed (a cluster).
    """
    configured = instance.get_ref().run_launcher_data if instance.is_persistent else None
    return _HERE if configured is None else configured.class_name
