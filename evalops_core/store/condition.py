"""What a database server is like for the one who is connected to it: version, role, rights, clock.

What belongs here: reading it, whatever state the schema is in. What does not: what is wrong with it (run.doctor).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from pydantic import SecretStr
from sqlalchemy import Engine, text
from sqlalchemy.pool import NullPool

from evalops_core.domain.look import ahead_s
from evalops_core.store.engine import make_engine
from evalops_core.store.tables import SCHEMA

_PATIENCE = "SET LOCAL statement_timeout = '8s'"  # of the transaction, so that no pooled session keeps it
_SERVER = """
    SELECT current_setting('server_version') AS version, current_database() AS database, current_user AS role,
           (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
           pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS read_only,
           (SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = :schema) AS usage
"""
_LACKING = """
    SELECT wanted.privilege, string_agg(relname, ', ' ORDER BY relname) AS tables
    FROM pg_class CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS wanted (privilege)
    WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = :schema) AND relkind IN ('r', 'p')
      AND (relname <> 'alembic_version' OR wanted.privilege = 'SELECT')
      AND NOT has_table_privilege(pg_class.oid, wanted.privilege)
    GROUP BY wanted.privilege ORDER BY wanted.privilege
"""


@dataclass(frozen=True, slots=True)
class Condition:
    """`usage` is whether the role may look into the schema, None where there is no schema.

    `lacking` maps each right that the role has not to the tables concerned, separated by commas. `ahead_s` is by how
    many seconds this host's clock is ahead of the server's, see `domain.look.ahead_s`.
    """

    version: str
    database: str
    host: str
    role: str
    superuser: bool
    read_only: bool
    usage: bool | None
    lacking: Mapping[str, str]
    ahead_s: float


def plain_engine(url: SecretStr) -> Engine:
    """An engine that keeps no connection open."""
    return make_engine(url, poolclass=NullPool)


def condition(engine: Engine) -> Condition:
    """Changes nothing. DatabaseError where the server cannot be reached."""
    with engine.connect() as connection:
        connection.execute(text(_PATIENCE))
        server = connection.execute(text(_SERVER), {"schema": SCHEMA}).one()
        lacking = connection.execute(text(_LACKING), {"schema": SCHEMA}).all()
        before = datetime.now(timezone.utc)
        theirs: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        after = datetime.now(timezone.utc)
    host = engine.url.host or "the local socket"
    return Condition(
        version=server.version,
        database=server.database,
        host=f"{host}:{engine.url.port or 5432}",
        role=server.role,
        superuser=bool(server.superuser),
        read_only=bool(server.read_only),
        usage=server.usage,
        lacking={row.privilege: row.tables for row in lacking},
        ahead_s=ahead_s(before, after, theirs, theirs),
    )


def has_table(engine: Engine, name: str) -> bool:
    """Whether the session finds a table or view of that name, which may carry its schema."""
    with engine.connect() as connection:
        connection.execute(text(_PATIENCE))
        return bool(connection.scalar(text("SELECT to_regclass(:name) IS NOT NULL"), {"name": name}))
