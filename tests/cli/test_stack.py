import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from evalops_core.errors import ConfigError
from evalops_dagster.cli.dagster_api import DagsterApi
from evalops_dagster.cli.dagster_process import end_marked, marked
from evalops_dagster.cli.stack import free_port, is_loopback
from tests.cli.calling import Evalops

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_was_asked_for_is_that_one_or_none(taken: int) -> None:
    with pytest.raises(ConfigError, match=rf"^port {taken} of 127.0.0.1 is taken; choose another with --port"):
        free_port("127.0.0.1", taken, exactly=True)


def test_a_port_that_nobody_asked_for_moves_on(taken: int) -> None:
    assert free_port("127.0.0.1", taken, exactly=False) > taken


def test_zero_is_any_free_port() -> None:
    port = free_port("127.0.0.1", 0, exactly=True)
    with socket.create_server(("127.0.0.1", port)) as server:
        assert server.getsockname()[1] == port


def test_an_address_of_another_machine_is_not_called_a_taken_port() -> None:
    with pytest.raises(ConfigError, match=r"^port 8080 of 192\.0\.2\.1 cannot be served on"):
        free_port("192.0.2.1", 8080, exactly=False)


def test_a_taken_port_is_refused_before_anything_is_started(
    evalops: Evalops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(PROJECT))
    monkeypatch.setenv("EVALOPS_HOME", str(tmp_path / "home"))
    said = evalops("dev", "--port", str(taken))
    assert said.code == 2
    assert said.err == (
        f"error: port {taken} of 127.0.0.1 is taken; choose another with --port, or 0 for any that is free\n"
    )
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["dev.json"]


def test_a_folder_without_suites_is_refused_before_anything_is_started(
    evalops: Evalops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(PROJECT))
    monkeypatch.setenv("EVALOPS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EVALOPS_SUITES", str(tmp_path / "nowhere"))
    said = evalops("dev", "--port", "0")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert said.err.startswith(f"error: {tmp_path / 'nowhere'}: does not exist")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "localhost", "::1"])
def test_an_address_of_this_machine_alone_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "no-such-host.invalid", ""])  # noqa: S104 - not served on
def test_an_address_that_others_reach_is_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(("host", "warnings"), [("0.0.0.0", 1), ("127.0.0.1", 0)])  # noqa: S104 - for an instant
def test_a_ui_that_others_reach_is_started_with_a_warning_that_it_has_no_login(
    evalops: Evalops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, warnings: int
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(PROJECT))
    monkeypatch.setenv("EVALOPS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EVALOPS_UI_HOST", host)
    monkeypatch.setenv("EVALOPS_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    said = evalops("dev", "--port", "0")
    assert (said.code, "cannot connect" in said.err) == (1, True)
    found = [line for line in said.out.splitlines() if "Dagster's UI has no login" in line]
    assert len(found) == warnings
    assert all(f"EVALOPS_UI_HOST={host}" in line and "docs/security.md" in line for line in found)


def test_without_the_two_files_it_says_where_it_looked(
    evalops: Evalops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    said = evalops("dev", "--port", "0")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert said.err.startswith(f"error: DAGSTER_HOME: no dagster.yaml with a workspace.yaml in {tmp_path};")


@pytest.mark.process
def test_ending_by_the_mark_finds_children_whose_parent_is_gone_and_those_that_do_not_listen() -> None:
    """A parent that dies at once, its child that ignores being asked, and a process without the mark."""
    child = "import signal, time; signal.signal(2, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=True)"
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with subprocess.Popen(
        [sys.executable, "-c", parent], env={"EVALOPS_DEV_MARK": "mark-of-this-test"}, stdout=subprocess.PIPE
    ) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == b"up\n"
        started.wait()
        (orphan,) = marked("mark-of-this-test")
        end_marked("mark-of-this-test", patience_s=0.5)
        assert not orphan.is_running() or orphan.status() == "zombie"
    assert marked("mark-of-this-test") == []
    assert stranger.poll() is None
    stranger.send_signal(signal.SIGKILL)
    stranger.wait()


def test_a_server_that_is_not_there_does_not_answer() -> None:
    assert not DagsterApi(f"http://127.0.0.1:{free_port('127.0.0.1', 0, exactly=True)}").answers()
