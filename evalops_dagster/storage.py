"""Dagster's own tables (runs, events, schedules) in the database that the settings name.

What belongs here: telling dagster-postgres where to connect. `dagster.yaml` names this class, so that plain `dagster`
commands and `evalops dev` see the same instance without any variable to export.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, cast

from dagster._core.storage.event_log.schema import ConcurrencyLimitsTable
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage
from sqlalchemy import select

from evalops_core.errors import ConfigError
from evalops_core.settings import Settings, load_settings
from evalops_core.wiring import dagster_url
from evalops_dagster.pool import POOLS, eval_pool


class EvalOpsStorage(DagsterPostgresStorage):
    """dagster-postgres at `EVALOPS_DAGSTER_DATABASE_URL`, or in schema `dagster` of the eval store's database.

    It also creates the pools that runs queue for, which Dagster does not do from `dagster.yaml` alone.
    """

    @classmethod
    def config_type(cls) -> dict[str, Any]:  # pyright: ignore[reportIncompatibleMethodOverride]  # there is nothing to configure
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "EvalOpsStorage":
        settings = load_settings()
        url = dagster_url(settings, create=lambda url: cls._create_tables(url.get_secret_value()))
        storage = cls(postgres_url=url.get_secret_value(), should_autocreate_tables=True, inst_data=inst_data)
        wanted = wanted_pools(settings)
        for pool in sorted(wanted - cls._pools(storage, wanted)):
            storage.event_log_storage.set_concurrency_slots(pool, 1)
        return storage

    @staticmethod
    def _pools(storage: DagsterPostgresStorage, wanted: Collection[str]) -> set[str]:
        """By one query, for every process of Dagster's asks at its start: `get_pool_limits` makes a dozen, of 60 ms."""
        limits = ConcurrencyLimitsTable.c
        event_log = cast("PostgresEventLogStorage", storage.event_log_storage)
        query = select(limits.concurrency_key).where(limits.concurrency_key.in_(wanted), limits.limit.is_not(None))
        with event_log.index_connection() as connection:
            return set(connection.scalars(query))

    @classmethod
    def _create_tables(cls, url: str) -> None:
        """dagster-postgres does so on its first connection."""
        cls(postgres_url=url, should_autocreate_tables=True).event_log_storage.dispose()


def wanted_pools(settings: Settings) -> set[str]:
    """The pools that runs of this deployment queue for, as far as this machine has the suites."""
    return {*POOLS, *(eval_pool(feature, settings.gate_scope) for feature in _features(settings))}


def _features(settings: Settings) -> Iterable[str]:
    """Those whose runs queue by themselves. Web server and daemon need not have the suites' folders: the first tick
    that starts something makes what is missing."""
    if settings.gate_scope == "all":
        return ()
    from evalops_core.suites.loader import find_suites

    try:
        return find_suites(settings.suites)
    except ConfigError:
        return ()
