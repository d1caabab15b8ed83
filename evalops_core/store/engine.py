"""Connections to PostgreSQL: one spelling of the URL, UTC, and failures that say what could not be reached.

What belongs here: how a connection is made. What does not: what is done with it.
"""

import re
from typing import Any

import orjson
import psycopg2
import psycopg2.errors
from pydantic import SecretStr
from sqlalchemy import URL, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from evalops_core.errors import ConfigError, DatabaseError

_SCHEMES = ("postgres", "postgresql", "postgresql+psycopg2")
_EXPECTED = "expected postgresql://user:password@host:port/database"


def normalise_url(url: SecretStr | str) -> str:
    """The URL with the driver spelled out, `postgresql+psycopg2://…`; everything after the scheme is kept as it is.

    The driver is named because a plain `postgresql://` means another one from SQLAlchemy 2.1 on. The result holds the
    password. ConfigError, without any part of the URL but its scheme, where it is not a PostgreSQL URL.
    """
    given = url.get_secret_value() if isinstance(url, SecretStr) else url
    scheme, separator, rest = given.strip().partition("://")
    if not separator:
        raise ConfigError(f"the database URL has no scheme; {_EXPECTED}")
    if scheme not in _SCHEMES:
        raise ConfigError(f"the database URL starts with {scheme}://, which is not PostgreSQL; {_EXPECTED}")
    normalised = f"postgresql+psycopg2://{rest}"
    try:
        host = make_url(normalised).host or ""
    except (ArgumentError, ValueError):
        raise ConfigError(f"the database URL cannot be read; {_EXPECTED}") from None
    if "@" in host:  # the tail of a password: it must not end up in a message as part of the host
        raise ConfigError("the database URL's password holds an @; write it as %40")
    return normalised


def make_engine(url: SecretStr, **kw: Any) -> Engine:
    """An engine whose sessions run in UTC under the application name `evalops`; nothing is connected yet.

    `kw` goes to `sqlalchemy.create_engine`. A connection that cannot be made, or is lost, and a disk that is full raise
    DatabaseError, which names host, port and database and never the password. Statements' parameters never show in
    errors or logs.
    """
    parsed = make_url(normalise_url(url))
    connect_args = {"application_name": "evalops", "connect_timeout": 10}
    connect_args = {key: value for key, value in connect_args.items() if key not in parsed.query}
    connect_args |= kw.pop("connect_args", {})
    options: dict[str, Any] = {
        "pool_pre_ping": True,
        "hide_parameters": True,
        "json_serializer": _to_json,
        "json_deserializer": orjson.loads,
    }
    engine = create_engine(parsed, connect_args=connect_args, **(options | kw))

    @event.listens_for(engine, "connect")
    def _utc(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:  # pyright: ignore[reportUnusedFunction]  # registered by the decorator
        # A statement rather than a startup option: connection poolers refuse options they do not know.
        cursor = connection.cursor()
        cursor.execute("SET TIME ZONE 'UTC'")
        cursor.close()
        connection.commit()

    @event.listens_for(engine, "handle_error")
    def _translate(context: ExceptionContext) -> None:  # pyright: ignore[reportUnusedFunction]  # registered by the decorator
        error = context.original_exception
        if context.is_pre_ping or not isinstance(error, psycopg2.Error):
            return  # a failed ping makes the pool connect anew, which is not an error yet
        if context.connection is None and isinstance(error, psycopg2.OperationalError):
            raise DatabaseError(f"cannot connect to {_place(parsed)}: {_reason(error)}") from error
        if isinstance(error, psycopg2.errors.DiskFull):
            words = error.diag.message_primary or _reason(error)
            raise DatabaseError(
                f"{_place(parsed)} has no room left on its disk: {words}; make room, then go on"
            ) from error
        if context.is_disconnect:
            raise DatabaseError(f"lost the connection to {_place(parsed)}: {_reason(error)}") from error

    return engine


def check(engine: Engine) -> None:
    """DatabaseError, in one sentence, unless the database answers."""
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))


def _place(url: URL) -> str:
    host = url.host or url.query.get("host") or "the local socket"
    hosts = host if isinstance(host, str) else ", ".join(host)
    return f"database {url.database or url.username or 'postgres'} at {hosts}:{url.port or 5432}"


def _reason(error: psycopg2.Error) -> str:
    """What libpq says of it, in one line: of tries at several addresses the last, of a lost connection the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    failures = [line.partition(" failed: ")[2] for line in lines if " failed: " in line]
    return re.sub(r"\s+", " ", (failures[-1] if failures else lines[0]).replace("FATAL:", "")).strip()


def _to_json(value: object) -> str:
    return orjson.dumps(value).decode()
