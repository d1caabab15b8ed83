import contextlib
import os
import signal
import socket
from pathlib import Path

import psutil
import psycopg2
import psycopg2.errors
import pytest

from evalops_core.errors import DatabaseError
from evalops_core.postgres.cluster import Layout
from evalops_core.postgres.locks import opened, try_exclusive
from evalops_core.postgres.server import EmbeddedServer, Running

from .asking import ask, eventually
from .conftest import Spawn, WaitForEnd

START = """
import sys
from pathlib import Path
from evalops_core.postgres.server import EmbeddedServer
print(EmbeddedServer(Path(sys.argv[1])).start().adopted)
"""
CLIENT = """
import sys, psycopg2
connection = psycopg2.connect(sys.argv[1])
connection.autocommit = True
cursor = connection.cursor()
for statement in sys.argv[2:]:
    print(connection.info.backend_pid, flush=True)
    cursor.execute(statement)
"""
FOREVER = "DO $$ BEGIN LOOP END LOOP; END $$"


def running(root: Path) -> Running:
    found = EmbeddedServer(root).status()
    assert found is not None
    return found


def busy_backend(spawn: Spawn, url: str) -> int:
    """The pid of a backend that is computing for good, and so does not see its postmaster die."""
    child = spawn(CLIENT, url, FOREVER)
    assert child.stdout is not None
    pid = int(child.stdout.readline())
    eventually(lambda: psutil.Process(pid).cpu_times().user > 0.2)
    return pid


def test_a_server_is_created_adopted_stopped_and_started_again(new_root: Path) -> None:
    server = EmbeddedServer(new_root)
    assert (server.status(), server.url(), server.stop()) == (None, None, False)
    assert not new_root.exists()

    first = server.start()
    assert not first.adopted
    assert server.url() == first.url
    assert server.status() == Running(running(new_root).pid, first.port, ready=True)
    ask(first.url, "CREATE TABLE kept AS SELECT 42 AS answer")

    again = EmbeddedServer(new_root).start()
    assert (again.adopted, again.url) == (True, first.url)

    assert (server.stop(), server.stop()) == (True, False)
    assert (server.status(), server.url()) == (None, None)

    later = server.start()
    assert (later.adopted, later.url) == (False, first.url)
    assert ask(later.url, "SELECT answer FROM kept") == 42


def test_the_url_keeps_its_password_to_itself(root: Path) -> None:
    started = EmbeddedServer(root).start()
    assert (root / "password").read_text().strip() in started.url.get_secret_value()
    assert (root / "password").read_text().strip() not in repr(started)


def test_a_wrong_password_is_refused(root: Path) -> None:
    started = EmbeddedServer(root).start()
    password = (root / "password").read_text().strip()
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(started.url.get_secret_value().replace(password, "guess"))


def test_the_server_is_durable_modest_and_in_utc(root: Path) -> None:
    url = EmbeddedServer(root).start().url
    names = ("fsync", "shared_buffers", "max_connections", "TimeZone", "listen_addresses", "server_encoding")
    assert [ask(url, f"SHOW {name}") for name in names] == ["on", "64MB", "200", "UTC", "127.0.0.1", "UTF8"]


def test_of_eight_starts_at_once_one_starts_and_seven_adopt(new_root: Path, spawn: Spawn) -> None:
    children = [spawn(START, new_root) for _ in range(8)]
    said = sorted(child.communicate(timeout=120)[0].strip() for child in children)
    assert said == ["False"] + ["True"] * 7


def test_a_server_killed_comes_back_at_once_on_its_port_with_its_data(root: Path) -> None:
    server = EmbeddedServer(root)
    first = server.start()
    ask(first.url, "CREATE TABLE committed AS SELECT 42 AS answer")
    os.kill(running(root).pid, signal.SIGKILL)
    second = server.start()
    assert (second.adopted, second.url) == (False, first.url)
    assert ask(second.url, "SELECT answer FROM committed") == 42


def test_a_backend_that_computes_on_after_the_server_is_killed_does_not_stop_the_next(root: Path, spawn: Spawn) -> None:
    server = EmbeddedServer(root)
    first = server.start()
    orphan = busy_backend(spawn, first.url.get_secret_value())
    os.kill(running(root).pid, signal.SIGKILL)
    second = server.start()
    assert not second.adopted
    assert ask(second.url, "SELECT 1") == 1
    with contextlib.suppress(psutil.NoSuchProcess):  # a zombie where nobody reaps
        assert psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE


def test_stopping_ends_sessions_that_compute(root: Path, spawn: Spawn, wait_for_end: WaitForEnd) -> None:
    server = EmbeddedServer(root)
    busy_backend(spawn, server.start().url.get_secret_value())
    assert server.stop()
    wait_for_end(root)


@pytest.mark.parametrize("content", ["", "{own}\n", "{own}\n{data}\n0\n{port}\n\n127.0.0.1\n\nready\n", "nonsense\n"])
def test_a_pid_file_that_is_empty_or_names_another_process_is_out_of_date(root: Path, content: str) -> None:
    own = content.format(own=os.getpid(), data=root / "data", port=20001)
    (root / "data" / "postmaster.pid").write_text(own)
    server = EmbeddedServer(root)
    assert server.status() is None
    started = server.start()
    assert not started.adopted
    assert ask(started.url, "SELECT 1") == 1


def test_a_server_whose_pid_file_was_emptied_is_replaced(root: Path) -> None:
    server = EmbeddedServer(root)
    first, pid = server.start(), running(root).pid
    (root / "data" / "postmaster.pid").write_text("")
    second = server.start()
    assert (second.adopted, second.url) == (False, first.url)
    assert running(root).pid != pid


def test_a_stolen_port_is_left_to_the_thief_and_the_new_one_is_kept(root: Path) -> None:
    server = EmbeddedServer(root)
    stolen = server.start().port
    server.stop()
    with socket.create_server(("127.0.0.1", stolen)):
        second = server.start()
        assert ask(second.url, "SELECT 1") == 1
        assert second.port != stolen
        server.stop()
    assert server.start().port == second.port


@pytest.mark.parametrize("with_its_initdb", [True, False])
def test_a_killed_initdb_leaves_nothing_behind(new_root: Path, spawn: Spawn, with_its_initdb: bool) -> None:
    child = spawn(START, new_root)
    eventually(lambda: any(new_root.glob("init-*/data/base")))
    (os.killpg if with_its_initdb else os.kill)(child.pid, signal.SIGKILL)
    child.wait()
    assert not (new_root / "data").exists()
    assert ask(EmbeddedServer(new_root).start().url, "SELECT 1") == 1
    if with_its_initdb:
        assert list(new_root.glob("init-*")) == []


def test_a_server_out_of_sight_is_not_joined_by_a_second(root: Path) -> None:
    with opened(Layout(root).alive) as handle:
        assert try_exclusive(handle)
        with pytest.raises(DatabaseError, match="another container"):
            EmbeddedServer(root).start(timeout_s=0.5)
    assert not EmbeddedServer(root).start().adopted


def test_every_process_of_a_server_holds_its_lock(root: Path) -> None:
    EmbeddedServer(root).start()
    with opened(Layout(root).alive) as handle:
        assert not try_exclusive(handle)


def test_whoever_waits_for_the_lock_in_vain_is_told(root: Path) -> None:
    with opened(Layout(root).lock) as handle:
        assert try_exclusive(handle)
        with pytest.raises(DatabaseError, match="another process"):
            EmbeddedServer(root).start(timeout_s=0.1)


def test_a_server_that_cannot_start_says_why(root: Path) -> None:
    with (root / "data" / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    with pytest.raises(DatabaseError, match="no_such_setting"):
        EmbeddedServer(root).start()


def test_the_callers_locale_and_postgres_variables_are_no_obstacle(new_root: Path, spawn: Spawn) -> None:
    hostile = {"LC_ALL": "xx_XX.UTF-8", "LANG": "xx_XX", "PGPORT": "1", "PGDATA": "/nowhere", "PGOPTIONS": "-c x=y"}
    child = spawn(START, new_root, env={**hostile, "TZ": "Asia/Tokyo"})
    assert child.communicate(timeout=120)[0].strip() == "False"
    started = EmbeddedServer(new_root).start()
    assert started.adopted
    assert ask(started.url, "SHOW TimeZone") == "UTC"


def test_the_same_folder_by_another_name_is_the_same_server(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    first = EmbeddedServer(root).start()
    second = EmbeddedServer(tmp_path / "link").start()
    assert (second.adopted, second.url) == (True, first.url)


def test_a_folder_that_was_copied_is_another_server(root: Path, own_root: Path) -> None:
    original, copy = EmbeddedServer(root).start(), EmbeddedServer(own_root).start()
    assert (copy.adopted, copy.port == original.port) == (False, False)
    assert ask(copy.url, "SHOW data_directory") == str(own_root / "data")


def test_an_advisory_lock_is_free_soon_after_its_holder_is_killed_in_mid_query(root: Path, spawn: Spawn) -> None:
    url = EmbeddedServer(root).start().url
    holder = spawn(CLIENT, url.get_secret_value(), "SELECT pg_advisory_lock(42)", "SELECT pg_sleep(3600)")
    eventually(lambda: ask(url, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == 1)
    assert ask(url, "SELECT pg_try_advisory_lock(42)") is False
    holder.kill()
    # Gives up with an error after a minute, where the query would have gone on for an hour.
    ask(url, "SET statement_timeout = '60s'; SELECT pg_advisory_lock(42)")


def test_a_statement_that_fails_leaves_none_of_its_values_in_the_log(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    url = server.start(keep=False).url.get_secret_value()
    with (
        contextlib.closing(psycopg2.connect(url)) as connection,
        connection.cursor() as cursor,
        pytest.raises(psycopg2.errors.DivisionByZero),
    ):
        cursor.execute("SELECT 1 / 0, %s", ["what a user said"])
    server.stop()
    log = (tmp_path / "server.log").read_text()
    assert "division by zero" in log
    assert "what a user said" not in log
