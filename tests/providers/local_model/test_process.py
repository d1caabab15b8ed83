import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from evalops_core.errors import ConfigError
from evalops_core.providers.local_model import openmp
from evalops_core.providers.local_model.process import Endpoint, ModelServer
from evalops_core.providers.local_model.state import ServerState, StatePaths
from tests.providers.local_model.calls import ServerUnderTest, eventually

pytestmark = pytest.mark.process

START = """
import sys
from pathlib import Path
from evalops_core.providers.local_model.process import ModelServer
endpoint = ModelServer(Path(sys.argv[1]), engines=1).start()
print(endpoint.url, endpoint.adopted)
"""


@pytest.fixture
def bystander() -> Generator[subprocess.Popen[bytes], None, None]:
    """A process that has nothing to do with any of this."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def state_of(root: Path) -> ServerState:
    state = StatePaths(root).read()
    assert state is not None
    return state


@pytest.mark.model
def test_a_running_server_is_adopted_until_it_is_stopped(model_root: Path) -> None:
    server = ModelServer(model_root, engines=1)
    first = server.start()
    assert not first.adopted
    assert ModelServer(model_root).start() == Endpoint(first.url, adopted=True)
    status = server.status()
    assert (status.running, status.url, status.engines, status.current) == (True, first.url, 1, True)
    assert server.stop()
    assert not server.status().running
    assert not server.stop()


@pytest.mark.model
def test_the_state_file_is_for_the_owner_only(model_root: Path) -> None:
    ModelServer(model_root, engines=1).start()
    assert StatePaths(model_root).state.stat().st_mode & 0o077 == 0


@pytest.mark.model
def test_after_a_kill_the_next_start_gives_a_working_server(model_root: Path) -> None:
    server = ModelServer(model_root, engines=1)
    before = ServerUnderTest(model_root, server.start().url)
    answer = before.text("Name a colour.")
    os.kill(state_of(model_root).pid, signal.SIGKILL)
    eventually(lambda: not server.status().running)
    endpoint = server.start()
    assert not endpoint.adopted
    after = ServerUnderTest(model_root, endpoint.url)
    assert after.text("Name a colour.") == answer
    assert len(after.log()) == 4  # what was asked before the kill is still there


@pytest.mark.model
def test_four_starts_at_once_give_one_server(model_root: Path) -> None:
    starts = [
        subprocess.Popen([sys.executable, "-c", START, str(model_root)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = [start.communicate(timeout=150)[0].split() for start in starts]
    assert len({url for url, _ in said}) == 1
    assert sorted(adopted for _, adopted in said) == ["False", "True", "True", "True"]
    serving = [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if str(model_root) in (process.info["cmdline"] or []) and process.status() != psutil.STATUS_ZOMBIE
    ]
    assert serving == [state_of(model_root).pid]


@pytest.mark.model
def test_a_server_of_other_files_or_packages_is_replaced(model_root: Path) -> None:
    server = ModelServer(model_root, engines=1)
    server.start()
    before = state_of(model_root)
    StatePaths(model_root).write(replace(before, fingerprint="local-of-last-year"))
    assert not server.status().current
    assert not server.start().adopted
    assert not psutil.pid_exists(before.pid) or psutil.Process(before.pid).status() == psutil.STATUS_ZOMBIE
    assert server.status().current


@pytest.mark.model
def test_a_server_ends_with_its_owner(model_root: Path, bystander: subprocess.Popen[bytes]) -> None:
    server = ModelServer(model_root, engines=1, owner_pid=bystander.pid, linger_s=0.1)
    server.start()
    bystander.kill()
    bystander.wait()
    eventually(lambda: server.status().pid is None and not server.status().running)


@pytest.mark.model
def test_a_server_that_hangs_is_replaced(model_root: Path) -> None:
    server = ModelServer(model_root, engines=1)
    server.start()
    hanging = state_of(model_root).pid
    StatePaths(model_root).state.unlink()
    os.kill(hanging, signal.SIGSTOP)
    try:
        assert server.stop()
    finally:
        if psutil.pid_exists(hanging):
            os.kill(hanging, signal.SIGCONT)
    assert not server.start().adopted


def test_a_stale_pid_file_stops_nobody(tmp_path: Path, bystander: subprocess.Popen[bytes]) -> None:
    paths = StatePaths(tmp_path)
    paths.folder.mkdir()
    paths.pid.write_text(f"{bystander.pid}\n")
    assert not ModelServer(tmp_path).stop()
    assert bystander.poll() is None
    assert ModelServer(tmp_path).status().pid is None


def test_a_stranger_on_the_port_is_not_adopted(tmp_path: Path) -> None:
    class Stranger(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"status": "ok", "proof": "trust me"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name that it overrides
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as stranger:
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        own = psutil.Process()
        state = ServerState(own.pid, own.create_time(), stranger.server_port, "token", "local-x", 1, time.time())
        paths = StatePaths(tmp_path)
        paths.folder.mkdir()
        paths.write(state)
        assert paths.read() == state
        assert not ModelServer(tmp_path).status().running
        stranger.shutdown()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', json.dumps({"later": 1})])
def test_a_state_file_that_cannot_be_read_is_no_server(tmp_path: Path, content: str) -> None:
    paths = StatePaths(tmp_path)
    paths.folder.mkdir()
    paths.state.write_text(content)
    assert not ModelServer(tmp_path).status().running


def test_a_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    state = ServerState(1, 2.5, 3, "token", "local-x", 2, 4.5)
    paths = StatePaths(tmp_path)
    paths.folder.mkdir()
    paths.write(state)
    assert json.loads(paths.state.read_text()) == asdict(state)
    assert paths.read() == state


def test_without_files_and_without_an_index_a_start_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    server = ModelServer(tmp_path)
    with pytest.raises(ConfigError, match="evalops model fetch"):
        server.start()
    assert server.status().pid is None


@pytest.mark.model
def test_a_server_refuses_damaged_files_in_a_sentence(model_root: Path) -> None:
    openmp.provide(model_root)
    damaged = model_root / "models" / "minilm-l6-v2-tokenizer.json"
    damaged.unlink()
    damaged.write_text("{}")
    served = subprocess.run(
        [sys.executable, "-m", "evalops_core.providers.local_model", str(model_root)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=openmp.environment(model_root),
    )
    assert served.returncode == 2
    assert served.stderr == f"{damaged}: this model file is damaged; run `evalops model fetch`\n"
