import os
import signal
from pathlib import Path

import pytest

from evalops_core.errors import ConfigError
from evalops_core.postgres.guard import guarded_server
from evalops_core.postgres.locks import opened, try_exclusive
from evalops_core.postgres.server import EmbeddedServer

from .asking import ask, eventually
from .conftest import Spawn, WaitForEnd

OWNER = """
import sys
from pathlib import Path
from evalops_core.postgres.guard import guarded_server
with guarded_server(Path(sys.argv[1])) as started:
    print(started.url.get_secret_value(), flush=True)
    sys.stdin.read()
"""


def test_a_guarded_server_ends_with_its_block(root: Path) -> None:
    with guarded_server(root) as started:
        assert not started.adopted
        assert ask(started.url, "SELECT 1") == 1
    assert EmbeddedServer(root).status() is None


def test_a_guarded_server_ends_with_an_owner_that_is_killed(root: Path, spawn: Spawn, wait_for_end: WaitForEnd) -> None:
    owner = spawn(OWNER, root)
    assert owner.stdout is not None
    assert owner.stdout.readline().startswith("postgresql://")
    os.killpg(owner.pid, signal.SIGKILL)
    wait_for_end(root)
    assert "database system is shut down" in (root / "server.log").read_text().splitlines()[-1]  # not merely gone


def test_an_owner_killed_while_the_server_is_created_leaves_none(new_root: Path, spawn: Spawn) -> None:
    owner = spawn(OWNER, new_root)
    eventually(lambda: any(new_root.glob("init-*/data")))
    os.killpg(owner.pid, signal.SIGKILL)
    with opened(new_root / "guards") as guards:
        assert try_exclusive(guards, patience_s=60)  # the guard has ended
    assert EmbeddedServer(new_root).status() is None


def test_the_last_of_two_guards_stops_the_server(root: Path) -> None:
    with guarded_server(root) as outer:
        with guarded_server(root) as inner:
            assert (inner.adopted, inner.url) == (True, outer.url)
        assert ask(outer.url, "SELECT 1") == 1
    assert EmbeddedServer(root).status() is None


def test_the_guard_that_started_it_may_leave_first(root: Path, spawn: Spawn, wait_for_end: WaitForEnd) -> None:
    first = spawn(OWNER, root)
    assert first.stdout is not None
    first.stdout.readline()
    with guarded_server(root) as second:
        assert second.adopted
        first.communicate(timeout=60)
        assert ask(second.url, "SELECT 1") == 1
    wait_for_end(root)


def test_a_guard_leaves_a_server_running_that_somebody_else_asked_for(root: Path) -> None:
    server = EmbeddedServer(root)
    server.start()
    with guarded_server(root) as started:
        assert started.adopted
    assert server.stop()


def test_a_server_asked_for_while_guarded_outlives_the_guard(root: Path) -> None:
    server = EmbeddedServer(root)
    with guarded_server(root):
        assert server.start().adopted
    assert server.stop()
    with guarded_server(root):  # the wish ended with that server
        pass
    assert server.status() is None


def test_what_keeps_the_server_from_starting_is_raised_by_the_guard(root: Path) -> None:
    (root / "data" / "PG_VERSION").write_text("17\n")
    with pytest.raises(ConfigError, match="PostgreSQL 17"), guarded_server(root):
        pass
