"""Bringing a database's schema to the revision that this version of EvalOps works with.

What belongs here: applying and naming migrations. What does not: the migrations themselves (`migrations/versions`) and
the tables they lead to (`tables`).
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2.errors
from sqlalchemy import Connection, Engine, func, inspect, select, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.schema import CreateSchema

from evalops_core.errors import DatabaseError
from evalops_core.store.tables import SCHEMA

if TYPE_CHECKING:
    from alembic.config import Config

_FOLDER = Path(__file__).parent / "migrations"

_UPGRADE_LOCK = 0x6576616C6F7073  # "evalops"; taken for the transaction that migrates
_ALEMBIC = threading.Lock()  # Alembic keeps its context in module globals


def upgrade(engine: Engine, to: str = "head") -> list[str]:
    """Applies what is missing up to `to` (a revision or its prefix) and returns those revisions, oldest first.

    All of it is one transaction, so that a failure leaves the database as it was; of several processes that upgrade at
    once, one does and the others find nothing to do. DatabaseError where the database is newer than this version, or
    the role may not change it.
    """

    def apply(connection: Connection, config: "Config") -> None:
        from alembic import command

        _refuse_newer(_revision(connection))
        if not inspect(connection).has_schema(SCHEMA):
            connection.execute(CreateSchema(SCHEMA))
        command.upgrade(config, to)

    if to == "head" and current(engine) == head():
        return []  # each process asks at its start, and Alembic takes 0.1 s to import
    return _migrate(engine, apply)


def downgrade(engine: Engine, to: str) -> list[str]:
    """Takes back revisions down to `to` (kept), with what only they can hold; returns them, newest first."""

    def apply(connection: Connection, config: "Config") -> None:
        from alembic import command

        _refuse_newer(_revision(connection))
        command.downgrade(config, to)

    return _migrate(engine, apply)


def current(engine: Engine) -> str | None:
    """The revision that the database is at; None before the first upgrade."""
    with engine.connect() as connection:
        return _revision(connection)


def head() -> str:
    """The revision that this version of EvalOps works with."""
    return _revisions()[-1]


def ensure_current(engine: Engine) -> None:
    """DatabaseError, with what to do, unless the database is at `head()`."""
    found, needed = current(engine), head()
    if found == needed:
        return
    _refuse_newer(found)
    state = "has no EvalOps tables yet" if found is None else f"is at revision {found} and {needed} is needed"
    raise DatabaseError(f"the database {state}: run `evalops db upgrade`")


def _migrate(engine: Engine, apply: "Callable[[Connection, Config], None]") -> list[str]:
    done: list[str] = []

    def record(*, step: Any, **_: Any) -> None:
        done.append(str(step.up_revision_id))

    try:
        with _ALEMBIC, engine.begin() as connection:
            connection.execute(select(func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
            config = _config()
            config.attributes |= {"connection": connection, "on_version_apply": record}
            apply(connection, config)
    except ProgrammingError as error:
        if not isinstance(error.orig, psycopg2.errors.InsufficientPrivilege):
            raise
        role = engine.url.username
        raise DatabaseError(
            f"the role {role} may not change the schema ({str(error.orig).splitlines()[0]}): it has to own schema "
            f"{SCHEMA} with its tables; an administrator makes it by `CREATE SCHEMA {SCHEMA} AUTHORIZATION {role}`"
        ) from None
    return done


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version", SCHEMA):
        return None
    return connection.execute(text("SELECT version_num FROM evalops.alembic_version")).scalar_one_or_none()


def _revisions() -> list[str]:
    """All that this version knows, oldest first; each file is named as its revision. Read without Alembic, whose import
    takes longer than most commands' queries."""
    return sorted(file.stem for file in (_FOLDER / "versions").glob("[0-9]*.py"))


def _refuse_newer(found: str | None) -> None:
    if found is not None and found not in _revisions():
        raise DatabaseError(
            f"the database is at revision {found}, which this version of EvalOps does not know: "
            "install the version that ran `evalops db upgrade` on it, or a later one"
        )


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    folder = str(_FOLDER)
    config.set_main_option("script_location", folder.replace("%", "%%"))  # ConfigParser interpolates
    return config
