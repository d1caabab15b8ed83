import os
import socket
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from evalops_core.store.engine import make_engine
from evalops_core.store.schema import current, head
from tests.conftest import LeftTheMachineError


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")])
def test_a_connection_to_another_machine_is_refused(family: socket.AddressFamily, host: str) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as outward, pytest.raises(LeftTheMachineError, match=host):
        outward.connect((host, 9))


def test_loopback_and_unix_sockets_stay_open(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()
    with socket.socket(socket.AF_UNIX) as client, pytest.raises(FileNotFoundError):
        client.connect(os.path.relpath(tmp_path / "absent"))


def test_nothing_of_the_developers_environment_is_left() -> None:
    assert not [name for name in os.environ if name.startswith(("EVALOPS_", "PG")) or name == "OPENAI_API_KEY"]


def test_each_test_gets_a_migrated_database(engine: Engine) -> None:
    assert current(engine) == head()


def test_a_database_is_dropped_while_somebody_is_connected(database_url: SecretStr) -> None:
    with make_engine(database_url).connect() as connection:  # left open on purpose, until the server cuts it off
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
        connection.detach()
