"""The model server as a process of its own: start or adopt it, look at it, stop it.

What belongs here: exactly one living server a folder, whatever crashed before. What does not: what it does (serve).

A server lives as long as someone holds the lock on its pid file; the kernel lets go of it when the process ends,
however it ends, so a stale pid is never mistaken for a server. It is adopted only if it proves that it knows the token
in the state file, which a stranger on the same port cannot.
"""

import fcntl
import hashlib
import hmac
import http.client
import json
import os
import secrets
import select
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from evalops_core.errors import ConfigError, EvalOpsError
from evalops_core.providers.local_model import openmp
from evalops_core.providers.local_model.files import FileState, ModelFiles, Progress, check, fetch
from evalops_core.providers.local_model.request_log import rotate
from evalops_core.providers.local_model.runtime import fingerprint, require_machine
from evalops_core.providers.local_model.state import LINGER_S, ServerState, StatePaths

START_TIMEOUT_S = 120.0  # loading takes about a second; a machine that swaps takes longer
STOP_TIMEOUT_S = 5.0
_POLL_S = 0.02
_LOG_BYTES = 4 * 1024 * 1024
# Run by a process that ends at once, so that whoever starts the server is neither its parent nor left with a zombie.
_DETACH = "import subprocess, sys; subprocess.Popen(sys.argv[2:], pass_fds=[int(sys.argv[1])], start_new_session=True)"


class ModelServerError(EvalOpsError):
    """The model server did not start."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`url` is the API root, `http://127.0.0.1:PORT/v1`; `adopted` if the server was already running."""

    url: str
    adopted: bool


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """`current` is False where the server runs other files or packages than this installation would."""

    running: bool
    url: str | None = None
    pid: int | None = None
    engines: int | None = None
    started_at: float | None = None
    current: bool = True


class ModelServer:
    """The one model server of the folder `root`. It stays up until it is stopped, or until `owner_pid` is gone and
    nobody has asked it anything for `linger_s`.

    `engines`: how many requests are worked on at once; a processor core each, at most two of them by default.
    """

    def __init__(
        self, root: Path, *, engines: int | None = None, owner_pid: int | None = None, linger_s: float = LINGER_S
    ) -> None:
        self._root, self._paths, self._owner_pid, self._linger_s = root, StatePaths(root), owner_pid, linger_s
        self._engines = engines or min(2, _usable_cores())

    def files(self) -> tuple[FileState, ...]:
        """Every file of the models, each read and hashed now."""
        return check(self._root)

    def fetch(self, progress: Progress | None = None) -> ModelFiles:
        """Downloads what is missing or damaged, see `files.fetch` and `openmp.provide`; ConfigError where it could not
        be used here."""
        require_machine()
        files = fetch(self._root, progress)
        openmp.provide(self._root, progress)
        return files

    def serve(self) -> None:
        """Serves in this process until SIGTERM or SIGINT; see `serve.serve`. Returns never where the process has to
        become another program to find a library."""
        require_machine()
        environment = openmp.environment(self._root)
        if environment is not None:
            os.execve(sys.executable, self._command(), environment)  # noqa: S606  our own program, as a list
        from evalops_core.providers.local_model.serve import serve  # engines and all

        serve(self._root, engines=self._engines, owner_pid=self._owner_pid, linger_s=self._linger_s)

    def start(self, progress: Progress | None = None) -> Endpoint:
        """A server that answers: the running one, or a new one for which missing files are fetched first.

        ConfigError where this machine or its files cannot do it, ModelServerError where the process ends or hangs.
        """
        require_machine()
        with self._exclusively():
            state = self._answering() if self._alive() is None else self._await_answer()
            if state is not None and state.fingerprint == fingerprint():
                return Endpoint(state.url, adopted=True)
            self._end()
            self.fetch(progress)
            return Endpoint(self._launch().url, adopted=False)

    def stop(self) -> bool:
        """Ends the server; requests in flight are given up. Returns False where none was running."""
        with self._exclusively():
            return self._end()

    def status(self) -> ServerStatus:
        """Looks without waiting: a server that is still loading, or hangs, is not running yet."""
        state = self._answering()
        if state is None:
            return ServerStatus(running=False, pid=self._alive())
        return ServerStatus(
            True, state.url, state.pid, state.engines, state.started_at, current=state.fingerprint == fingerprint()
        )

    @contextmanager
    def _exclusively(self) -> Generator[None, None, None]:
        self._paths.folder.mkdir(parents=True, exist_ok=True)
        with self._paths.lock.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _alive(self) -> int | None:
        """The pid of the process that holds the pid file's lock, 0 if it has not written it yet, None without one."""
        try:
            with self._paths.pid.open("r") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(file.read().strip() or 0)
        except FileNotFoundError:
            return None
        return None

    def _answering(self) -> ServerState | None:
        state = self._paths.read()
        return state if state is not None and _proves_itself(state) else None

    def _await_answer(self) -> ServerState | None:
        """Of a living server that a killed starter left loading, say."""
        deadline = time.monotonic() + START_TIMEOUT_S / 4
        while self._alive() is not None and time.monotonic() < deadline:
            state = self._answering()
            if state is not None:
                return state
            time.sleep(_POLL_S)
        return None

    def _end(self) -> bool:
        pid = self._alive()
        if pid is None:
            return False
        for ask in (psutil.Process.terminate, psutil.Process.kill):
            with suppress(psutil.NoSuchProcess):
                ask(psutil.Process(self._alive() or pid))
            deadline = time.monotonic() + STOP_TIMEOUT_S
            while time.monotonic() < deadline:
                if self._alive() is None:
                    self._paths.state.unlink(missing_ok=True)
                    return True
                time.sleep(_POLL_S)
        raise ModelServerError(f"the model server (process {pid}) does not end; see {self._paths.log}")

    def _command(self) -> list[str]:
        command = [sys.executable, "-m", "evalops_core.providers.local_model", str(self._root.absolute())]
        command += ["--engines", str(self._engines), "--linger-s", str(self._linger_s)]
        return command + (["--owner-pid", str(self._owner_pid)] if self._owner_pid is not None else [])

    def _launch(self) -> ServerState:
        rotate(self._paths.log, _LOG_BYTES)
        reading, writing = os.pipe()
        state = None
        try:
            with self._paths.log.open("ab") as log:
                subprocess.run(
                    [sys.executable, "-I", "-c", _DETACH, str(writing), *self._command(), "--ready-fd", str(writing)],
                    check=True,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self._paths.folder,
                    env=openmp.environment(self._root),
                    pass_fds=(writing,),
                )
            os.close(writing)
            writing = -1
            said = _read_line(reading, START_TIMEOUT_S)
            state = self._answering() if said == "ready" else None
        finally:
            os.close(reading)
            if writing >= 0:
                os.close(writing)
            if state is None:  # refused, hanging, or the start was interrupted
                self._end()
        if state is not None:
            return state
        if said.startswith("error "):
            raise ConfigError(said.removeprefix("error "))
        raise ModelServerError(
            f"the model server did not start; its log {self._paths.log} ends with: {_last_line(self._paths.log)}"
        )


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _proves_itself(state: ServerState) -> bool:
    challenge = secrets.token_urlsafe(16)
    expected = hmac.new(state.token.encode(), challenge.encode(), hashlib.sha256).hexdigest()
    connection = http.client.HTTPConnection("127.0.0.1", state.port, timeout=5)
    try:
        connection.request("GET", f"/health?challenge={challenge}")
        answer = json.loads(connection.getresponse().read(65536))
        return hmac.compare_digest(str(answer["proof"]), expected)
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return False
    finally:
        connection.close()


def _read_line(descriptor: int, timeout_s: float) -> str:
    """Up to a line end or the other side's end; what came so far where it takes too long."""
    text, deadline = b"", time.monotonic() + timeout_s
    while not text.endswith(b"\n"):
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        chunk = os.read(descriptor, 4096) if ready else b""
        if not chunk:
            break
        text += chunk
    return text.decode(errors="replace").strip()


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
    return lines[-1] if lines else "nothing"
