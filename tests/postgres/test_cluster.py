import stat
from pathlib import Path

import pytest

from evalops_core.errors import ConfigError
from evalops_core.postgres.cluster import FIRST_PORT, PORTS, Layout
from evalops_core.postgres.server import EmbeddedServer


def test_another_major_version_is_named_and_left_alone(root: Path) -> None:
    (root / "data" / "PG_VERSION").write_text("17\n")
    before = sorted(path.name for path in (root / "data").iterdir())
    with pytest.raises(ConfigError, match=r"PostgreSQL 17 wrote this database, .*18\.") as caught:
        EmbeddedServer(root).start()
    assert caught.value.file == root / "data"
    assert sorted(path.name for path in (root / "data").iterdir()) == before


def test_a_folder_that_is_no_database_is_refused(new_root: Path) -> None:
    (new_root / "data").mkdir(parents=True)
    with pytest.raises(ConfigError, match="not a database's folder"):
        EmbeddedServer(new_root).start()


def test_without_the_password_nothing_is_started(root: Path) -> None:
    (root / "password").unlink()
    with pytest.raises(ConfigError, match="password cannot be read"):
        EmbeddedServer(root).start()
    assert EmbeddedServer(root).status() is None


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="EVALOPS_HOME") as caught:
        EmbeddedServer(tmp_path / "file" / "postgres").start()
    assert caught.value.file is not None
    assert caught.value.file.is_relative_to(tmp_path / "file")


def test_nobody_else_can_read_the_password_or_the_data(root: Path) -> None:
    EmbeddedServer(root).start()
    modes = {name: stat.S_IMODE((root / name).stat().st_mode) for name in ("password", "data", "server.log")}
    assert modes == {"password": 0o600, "data": 0o700, "server.log": 0o600}


def test_ports_follow_from_the_path_and_lie_below_the_ephemeral_ones(tmp_path: Path) -> None:
    ports = Layout(tmp_path).preferred_ports(50)
    assert ports == Layout(tmp_path).preferred_ports(50)
    assert len(set(ports)) == 50
    assert all(FIRST_PORT <= port < FIRST_PORT + PORTS for port in ports)


def test_a_saved_port_that_cannot_be_read_is_no_obstacle(tmp_path: Path) -> None:
    usual = Layout(tmp_path).preferred_ports(3)
    (tmp_path / "port").write_text("")
    assert Layout(tmp_path).preferred_ports(3) == usual
    Layout(tmp_path).save_port(23456)
    assert Layout(tmp_path).preferred_ports(3) == [23456, *usual]


def test_a_long_log_is_put_aside(root: Path) -> None:
    with (root / "server.log").open("w") as log:
        log.truncate(11_000_000)
    server = EmbeddedServer(root)
    server.start()
    assert server.log.stat().st_size < 1_000_000
    assert (root / "server.log.1").stat().st_size == 11_000_000
