"""What every test may rely on: a database of its own, an empty environment, and no way out of this machine.

One real PostgreSQL server serves the session; a database is migrated once and cloned for each test that asks for one.
"""

import ipaddress
import itertools
import os
import signal
import socket
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, make_url, text

from evalops_core.postgres.guard import guarded_server
from evalops_core.postgres.server import Started
from evalops_core.store.engine import make_engine
from evalops_core.store.schema import upgrade

_NUMBERS = itertools.count(1)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As a shell starts a job in the background. Dagster would do with SIGTERM what is done with SIGINT, and processes
    # that tests start and end by SIGTERM would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


class LeftTheMachineError(AssertionError):
    """A test tried to connect to another machine."""


@pytest.fixture(scope="session", autouse=True)
def only_loopback() -> Iterator[None]:
    """Every attempt of this process to connect to another machine raises, whichever library makes it."""
    watching = True

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event == "socket.connect" and not _stays_here(*arguments):
            raise LeftTheMachineError(f"a test tried to connect to {arguments[1]!r}; tests use loopback only")

    sys.addaudithook(refuse)
    yield
    watching = False  # an audit hook cannot be taken away


@pytest.fixture(scope="session", autouse=True)
def empty_environment() -> Iterator[None]:
    """Nothing that a developer has set for EvalOps, OpenAI or libpq reaches a test."""
    with pytest.MonkeyPatch.context() as environment:
        for name in list(os.environ):
            if name.startswith(("EVALOPS_", "PG")) or name in ("OPENAI_API_KEY", "RESEND_API_KEY"):
                environment.delenv(name)
        yield


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """The session's server; `url` is its maintenance database. It survives its own death, not the machine's."""
    with guarded_server(tmp_path_factory.mktemp("postgres")) as started:
        with _server(started) as server:
            _command(server, "ALTER SYSTEM SET fsync = off")  # a database for each test is mostly waiting for the disk
            _command(server, "SELECT pg_reload_conf()")
        yield started


@pytest.fixture(scope="session")
def template_database(postgres: Started) -> str:
    """The name of a migrated database that nothing is connected to."""
    name = "evalops_template"
    with _server(postgres) as server:
        _command(server, f'CREATE DATABASE "{name}"')
    engine = make_engine(_url(postgres, name))
    upgrade(engine)
    engine.dispose()
    return name


@pytest.fixture
def database_url(postgres: Started, template_database: str) -> Iterator[SecretStr]:
    """A migrated, empty database of the test's own, dropped afterwards whoever is still connected to it."""
    yield from new_database(postgres, template_database)


@pytest.fixture
def bare_database_url(postgres: Started) -> Iterator[SecretStr]:
    """A database of the test's own without a single table of ours."""
    yield from new_database(postgres, "template0")


@pytest.fixture
def engine(database_url: SecretStr) -> Iterator[Engine]:
    """Connections to `database_url`."""
    yield from _engine(database_url)


@pytest.fixture
def bare_engine(bare_database_url: SecretStr) -> Iterator[Engine]:
    """Connections to `bare_database_url`."""
    yield from _engine(bare_database_url)


def new_database(postgres: Started, template: str) -> Iterator[SecretStr]:
    """The URL of a database made from the one named `template`; dropped afterwards whoever is still connected to it."""
    name = f"test_{next(_NUMBERS)}"
    with _server(postgres) as server:
        _command(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        yield _url(postgres, name)
        _command(server, f'DROP DATABASE "{name}" WITH (FORCE)')


def _engine(url: SecretStr) -> Iterator[Engine]:
    engine = make_engine(url)
    yield engine
    engine.dispose()


@contextmanager
def _server(postgres: Started) -> Generator[Engine]:
    engine = make_engine(postgres.url, isolation_level="AUTOCOMMIT")
    try:
        yield engine
    finally:
        engine.dispose()


def _command(server: Engine, command: str) -> None:
    with server.connect() as connection:
        connection.execute(text(command))


def _url(postgres: Started, database: str) -> SecretStr:
    url = make_url(postgres.url.get_secret_value()).set(database=database)
    return SecretStr(url.render_as_string(hide_password=False))


def _stays_here(connecting: socket.socket, address: Any) -> bool:
    if connecting.family not in (socket.AF_INET, socket.AF_INET6):
        return True
    host = str(address[0])
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"
