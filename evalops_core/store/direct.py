"""A session with the database that lives and dies with this process: one connection, outside any pool.

What belongs here: how such a session is made, asked and ended, so that the server notices its client's end within
seconds, and the client the server's. What does not: what it is used for (gate). A forked child never shares it: the
child's copy of the connection is replaced by /dev/null, so that neither its life nor its death means anything to the
server.
"""

import contextlib
import functools
import os
import socket
from collections.abc import Sequence
from typing import Any

import psycopg2.extensions
from pydantic import SecretStr
from sqlalchemy import Row, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from evalops_core.errors import DatabaseError
from evalops_core.store.engine import make_engine

# The client gives a silent server up after 5 s, the server a silent client after 10 s: whoever loses the network knows
# that the session is lost before anybody else can have what it held.
_CLIENT = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 5_000,
}
_SERVER = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10s",
    "statement_timeout": "10s",
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
_CONFIGURE = """
    SELECT set_config(known.name, wanted.setting, false)
    FROM unnest(CAST(:names AS text[]), CAST(:settings AS text[])) AS wanted (name, setting)
    JOIN pg_settings AS known USING (name)
"""  # a setting that this version of the server does not know is left out

_OPEN: "set[DirectSession]" = set()
_FORKS: list[None] = []


class DirectSession:
    """An open session; every statement is a transaction of its own. One thread asks; any thread may cut.

    DatabaseError where it cannot be opened, is lost, or the server refuses a statement.
    """

    def __init__(self, url: SecretStr, application_name: str, *, configured: bool = True) -> None:
        """Where it is not known that the server's side is its own, `configured` later: settings would be another's."""
        _guard_forks()
        engine = make_engine(
            url,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args=_CLIENT | {"application_name": application_name},
        )
        while True:
            forks = len(_FORKS)
            self._connection = engine.connect()
            driver = self._connection.connection.driver_connection
            assert isinstance(driver, psycopg2.extensions.connection)  # noqa: S101  # the URL's driver, for pyright
            self._socket = socket.socket(fileno=os.dup(driver.fileno()))
            self.handles = (driver.fileno(), self._socket.fileno())
            _OPEN.add(self)
            if forks == len(_FORKS):
                break
            self.close()  # a child forked off meanwhile has a copy that nobody took from it
        if configured:
            try:
                self.configure()
            except BaseException:
                self.close()
                raise

    def configure(self) -> None:
        """The server's side: it notices within seconds that its client is gone, and no statement may hang."""
        self.row(_CONFIGURE, names=list(_SERVER), settings=list(_SERVER.values()))
        with contextlib.suppress(DBAPIError):  # not every platform's server can look after its client in a query
            self._connection.execute(
                text(
                    "SELECT set_config(name, '1s', false) FROM pg_settings"
                    " WHERE name = 'client_connection_check_interval'"
                )
            )

    def row(self, statement: str, **parameters: Any) -> Row[Any] | None:
        """The first row of what the statement gives."""
        rows = self.rows(statement, **parameters)
        return rows[0] if rows else None

    def rows(self, statement: str, **parameters: Any) -> Sequence[Row[Any]]:
        """All rows of what the statement gives."""
        try:
            return self._connection.execute(text(statement), parameters).all()
        except DBAPIError as error:
            raise DatabaseError(f"the database refused: {str(error.orig).strip()}") from error

    def cut(self) -> None:
        """End it at once and from outside, whatever it is waiting for; it still has to be closed."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it in good order, as far as that is still possible."""
        _OPEN.discard(self)  # first, for the handles' numbers may be somebody else's as soon as they are closed
        try:
            if not self._connection.closed:
                self._connection.invalidate()  # closes the connection without asking it for anything
                self._connection.close()
        finally:
            self.cut()
            self._socket.close()


@functools.cache
def _guard_forks() -> None:
    os.register_at_fork(after_in_parent=functools.partial(_FORKS.append, None), after_in_child=_give_up_copies)


def _give_up_copies() -> None:
    """In a forked child: nothing that its copies of the sessions do may reach the server, not even their end."""
    for session in _OPEN:
        for handle in session.handles:
            os.close(handle)
            null = os.open(os.devnull, os.O_RDWR)
            if null != handle:
                os.dup2(null, handle, inheritable=False)
                os.close(null)
    _OPEN.clear()
