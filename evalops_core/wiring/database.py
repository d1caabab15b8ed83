"""Where the eval store is, and the lock beside it.

What belongs here: which database, and in which state it must be. What does not: Dagster's tables (dagster_database),
connections (store), the embedded server's life (postgres).
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from sqlalchemy import Engine, Row, text
from sqlalchemy.pool import NullPool

from evalops_core.errors import ConfigError
from evalops_core.settings import Settings
from evalops_core.store.deployment import installed_at
from evalops_core.store.engine import make_engine
from evalops_core.store.gate import Gate
from evalops_core.store.schema import current, ensure_current, head, upgrade

if TYPE_CHECKING:
    from evalops_core.postgres.server import EmbeddedServer

_CHECK_WAIT_S = 10.0
# Whether a server that this process asks for stays when the process is gone; see `while_needed`.
_KEEP: ContextVar[bool] = ContextVar("keep", default=True)


def embedded_server(settings: Settings) -> "EmbeddedServer":
    from evalops_core.postgres.server import EmbeddedServer  # who has a database of their own waits for none of it

    return EmbeddedServer(settings.home / "postgres")


def store_url(settings: Settings) -> SecretStr:
    """The database of the settings, or the embedded server's, started if it is not running."""
    return settings.database_url or embedded_server(settings).start(keep=_KEEP.get()).url


@contextmanager
def while_needed(settings: Settings) -> Generator[None, None, None]:
    """The database for the time of one command: an embedded server that had to be started for it is stopped after it.

    One that was running before, or that another process began to need meanwhile, is left alone.
    """
    if settings.database_url is not None:
        yield
        return
    from evalops_core.postgres.guard import guarded_server

    with guarded_server(settings.home / "postgres"):
        token = _KEEP.set(False)
        try:
            yield
        finally:
            _KEEP.reset(token)


def open_store(settings: Settings) -> Engine:
    """The eval store, its schema current: the embedded one is upgraded as needed, one's own must have been."""
    engine = make_engine(store_url(settings))
    try:
        if settings.database_url is None:
            upgrade(engine)
        ensure_current(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def upgrade_store(settings: Settings) -> list[str]:
    """Bring the schema up to date and return the revisions applied."""
    engine = make_engine(store_url(settings))
    try:
        return upgrade(engine)
    finally:
        engine.dispose()


def store_revision(settings: Settings) -> tuple[str | None, str]:
    """The schema's revision, None in an empty database, and the one that this version needs."""
    engine = make_engine(store_url(settings))
    try:
        return current(engine), head()
    finally:
        engine.dispose()


def check_store(settings: Settings) -> str:
    """The revision of a store that can be used: its schema is the one that this version needs, and its gate excludes.

    DatabaseError, GateError or ConfigError with what to do otherwise. Nothing is upgraded.
    """
    url = store_url(settings)
    engine = make_engine(url)
    try:
        ensure_current(engine)
        with Gate(lock_url(settings, url, engine), "evalops db check").hold("check", wait_s=_CHECK_WAIT_S) as held:
            held.verify()
        return head()
    finally:
        engine.dispose()


def installed_since(settings: Settings) -> datetime:
    """When the store was created: windows before it have nothing to show."""
    engine = open_store(settings)
    try:
        return installed_at(engine)
    finally:
        engine.dispose()


def lock_url(settings: Settings, store: SecretStr, engine: Engine) -> SecretStr:
    """Where the gate's lock is: the store's URL, or the one of the settings beside a pooler.

    ConfigError where that leads to another server or database than `engine`: two deployments with different ones would
    not exclude each other, and nobody would notice.
    """
    if settings.lock_database_url is None:
        return store
    direct = make_engine(settings.lock_database_url, poolclass=NullPool)
    places: list[Row[Any]] = []
    for one in (engine, direct):
        with one.connect() as connection:
            places.append(connection.execute(text("SELECT current_database(), pg_postmaster_start_time()")).one())
    if places[0] != places[1]:
        raise ConfigError(
            f"leads to database {places[1][0]}, which is not the store's {places[0][0]} on the same server; set it to "
            "the store's own database, without the pooler",
            key="EVALOPS_LOCK_DATABASE_URL",
        )
    return settings.lock_database_url
