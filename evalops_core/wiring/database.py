"""Where the tables are: the eval store's and Dagster's.

What belongs here: which database, and in which state it must be. What does not: connections (store), the embedded
server's life (postgres).
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import SecretStr
from sqlalchemy import Connection, Engine, func, make_url, select, text

from evalops_core.settings import Settings
from evalops_core.store.deployment import installed_at
from evalops_core.store.engine import make_engine, normalise_url
from evalops_core.store.schema import current, ensure_current, head, upgrade

if TYPE_CHECKING:
    from evalops_core.postgres.server import EmbeddedServer

_CREATION_LOCK = 0x64616773746572  # "dagster"; held by the one process that makes Dagster's tables
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


def installed_since(settings: Settings) -> datetime:
    """When the store was created: windows before it have nothing to show."""
    engine = open_store(settings)
    try:
        return installed_at(engine)
    finally:
        engine.dispose()


def dagster_url(settings: Settings, create: Callable[[SecretStr], None]) -> SecretStr:
    """Where Dagster keeps its tables: its own database if there is one, else schema `dagster` beside the store's.

    That schema is there with everything that `create` makes in it, or not at all: it is made under another name, for
    Dagster makes its tables one by one and would never complete those of a process that was killed meanwhile.
    """
    if settings.dagster_database_url is not None:
        return SecretStr(normalise_url(settings.dagster_database_url))
    url = normalise_url(store_url(settings))
    engine = make_engine(SecretStr(url))
    try:
        with engine.begin() as connection:
            if _has_dagster(connection):
                return _in_schema(url, "dagster")
            connection.execute(select(func.pg_advisory_xact_lock(_CREATION_LOCK)))
            if not _has_dagster(connection):
                with engine.begin() as beside:
                    beside.execute(text("DROP SCHEMA IF EXISTS dagster_unfinished CASCADE"))
                    beside.execute(text("CREATE SCHEMA dagster_unfinished"))
                create(_in_schema(url, "dagster_unfinished"))
                connection.execute(text("ALTER SCHEMA dagster_unfinished RENAME TO dagster"))
    finally:
        engine.dispose()
    return _in_schema(url, "dagster")


def _has_dagster(connection: Connection) -> bool:
    # Not to_regnamespace: within a transaction it goes on giving its first answer, from a cache.
    return bool(connection.scalar(text("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'dagster')")))


def _in_schema(url: str, schema: str) -> SecretStr:
    """The URL whose sessions find and make their tables in `schema`."""
    parsed = make_url(url)
    given = parsed.query.get("options", "")
    options = " ".join([*([given] if isinstance(given, str) else given), f"-csearch_path={schema}"]).strip()
    return SecretStr(parsed.update_query_dict({"options": options}).render_as_string(hide_password=False))
