"""Where Dagster's tables are, and that all of them are there.

What belongs here: which database and schema. What does not: the tables themselves, which Dagster makes one by one and
would never complete after a process that was killed meanwhile: a table of ours marks a schema in which it has begun.
"""

from collections.abc import Callable

import psycopg2.errors
from pydantic import SecretStr
from sqlalchemy import Connection, Engine, MetaData, Row, func, inspect, make_url, select, text
from sqlalchemy.exc import ProgrammingError

from evalops_core.errors import DatabaseError
from evalops_core.settings import Settings
from evalops_core.store.engine import make_engine, normalise_url
from evalops_core.store.tables import SCHEMA
from evalops_core.wiring.database import store_url

DAGSTER = "dagster"
_CREATION_LOCK = 0x64616773746572  # "dagster"; held by the one process that makes the tables
_MARK = "evalops_unfinished"
UNFINISHED = f"{DAGSTER}.{_MARK}"
# Dagster's columns have no zone and are filled by CURRENT_TIMESTAMP: in the zone of a role or database, which Dagster
# then reads as UTC. A run would have been launched hours ago, or in hours.
_UTC = "-cTimeZone=UTC"
# Not to_regclass: within a transaction it goes on giving its first answer, from a cache.
_STATE = text("""
    SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = :schema) AS is_there,
           count(*) FILTER (WHERE relname <> :mark) AS tables,
           count(*) FILTER (WHERE relname = :mark) AS marks
    FROM pg_class WHERE relkind = 'r' AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = :schema)
""")


def dagster_url(settings: Settings, create: Callable[[SecretStr], None]) -> SecretStr:
    """Where Dagster keeps its tables: the database of the settings, else schema `dagster` beside the store's.

    In the schema is everything that `create` makes, or else it is made anew. A URL of the settings whose sessions would
    make tables in the store's own schema (that of a role `evalops`) stands for schema `dagster` of that database.
    DatabaseError, with what to do, where the role may not make the schema or its tables.
    """
    given = settings.dagster_database_url
    url = normalise_url(store_url(settings) if given is None else given)
    engine = make_engine(SecretStr(url))
    try:
        with engine.connect() as connection:
            if given is not None and not _stands_for_another(connection):
                return SecretStr(url) if _lives_in_utc(connection) else _with_options(url, _UTC)
            if _is_whole(connection):
                return _in_schema(url, DAGSTER)
        _make_whole(engine, lambda: create(_in_schema(url, DAGSTER)))
    finally:
        engine.dispose()
    return _in_schema(url, DAGSTER)


def _make_whole(engine: Engine, create: Callable[[], None]) -> None:
    """One process makes the tables, the others wait for it and find them."""
    with engine.begin() as connection:
        connection.execute(select(func.pg_advisory_xact_lock(_CREATION_LOCK)))
        if _is_whole(connection):
            return
        try:
            with engine.begin() as beside:
                if not _state(beside).is_there:
                    beside.execute(text(f"CREATE SCHEMA {DAGSTER}"))
                left_over = MetaData()
                left_over.reflect(beside, schema=DAGSTER)
                left_over.drop_all(beside)
                beside.execute(text(f"CREATE TABLE {DAGSTER}.{_MARK} ()"))
            create()
            with engine.begin() as beside:
                beside.execute(text(f"DROP TABLE {DAGSTER}.{_MARK}"))
        except ProgrammingError as error:
            if not isinstance(error.orig, psycopg2.errors.InsufficientPrivilege):
                raise
            raise DatabaseError(
                f"the role {engine.url.username} may not make schema {DAGSTER} or tables in it: have an administrator "
                f"run `CREATE SCHEMA {DAGSTER} AUTHORIZATION {engine.url.username}` in database {engine.url.database}, "
                f"or `ALTER SCHEMA {DAGSTER} OWNER TO {engine.url.username}` where it is there"
            ) from None


def _is_whole(connection: Connection) -> bool:
    state = _state(connection)
    return bool(state.tables) and not state.marks


def _state(connection: Connection) -> Row[tuple[bool, int, int]]:
    return connection.execute(_STATE, {"schema": DAGSTER, "mark": _MARK}).one()


def _stands_for_another(connection: Connection) -> bool:
    """Whether the URL's sessions would make their tables among the store's, and have not made them there before."""
    first = connection.scalar(text("SELECT current_schema()"))
    return first == SCHEMA and not inspect(connection).has_table("event_logs", SCHEMA)


def _lives_in_utc(connection: Connection) -> bool:
    """Whether the role's or the database's zone is UTC already: then no pooler has to take an option for it."""
    zone = connection.scalar(text("SELECT reset_val FROM pg_settings WHERE name = 'TimeZone'"))
    return zone in ("UTC", "Etc/UTC", "GMT")


def _in_schema(url: str, schema: str) -> SecretStr:
    """The URL whose sessions find and make their tables in `schema`."""
    return _with_options(url, f"{_UTC} -csearch_path={schema}")


def _with_options(url: str, added: str) -> SecretStr:
    """The URL whose sessions begin with these beside the options that it has."""
    parsed = make_url(url)
    given = parsed.query.get("options", "")
    options = " ".join([*([given] if isinstance(given, str) else given), added]).strip()
    return SecretStr(parsed.update_query_dict({"options": options}).render_as_string(hide_password=False))
