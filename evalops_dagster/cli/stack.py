"""Everything that runs on one machine, started together and ended together: database, models, Dagster.

What belongs here: the order of starting and stopping, and what is said about it. What does not: each part's own life
(postgres, local_model), what is done with the running stack (dev, demo).
"""

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

from evalops_core.errors import ConfigError, EvalOpsError
from evalops_core.settings import Settings
from evalops_core.wiring import (
    Suites,
    embedded_server,
    model_server,
    needs_embedded_model,
    read_suites,
    upgrade_store,
)
from evalops_dagster.cli.instance import instance_folder

Say = Callable[[str], None]

_UI_TIMEOUT_S = 180
_STOP_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Stack:
    """`url` is the UI's; `dagster` its parent process, whose end is the end of the stack."""

    url: str
    port: int
    suites: Suites
    dagster: "subprocess.Popen[bytes]"
    log: Path


@contextlib.contextmanager
def running_stack(settings: Settings, port: int | None, say: Say) -> Generator[Stack, None, None]:
    """The whole of it while the block runs; ended however the block ends, SIGTERM and Ctrl-C included.

    ConfigError where a stack of this EVALOPS_HOME is up already, or the port is taken.
    """
    instance = instance_folder()
    settings.home.mkdir(parents=True, exist_ok=True)
    with _signals(), _only_one(settings.home) as state, contextlib.ExitStack() as stops:
        _end_leftovers(settings.home, say)
        chosen = _free_port(settings.ui_host, settings.ui_port if port is None else port, given=port is not None)
        suites = read_suites(settings)
        for problem in suites.broken.values():
            say(f"warning: {problem}")
        if settings.database_url is None:
            say("database: starting the embedded PostgreSQL …")
            server = embedded_server(settings)
            stops.callback(_quietly, server.stop)
            server.start()
        applied = upgrade_store(settings)
        say(f"database: ready{f', {len(applied)} migrations applied' if applied else ''}")
        if needs_embedded_model(suites.usable, settings):
            say("models: starting the embedded models (the first time their files are fetched, 120 MB) …")
            models = model_server(settings)
            stops.callback(_quietly, models.stop)
            say(f"models: ready at {models.start().url}")
        log = settings.home / "logs" / "dagster.log"
        url = f"http://{settings.ui_host}:{chosen}"
        say(f"dagster: starting the web server and the daemon (log: {log}) …")
        dagster = _start_dagster(instance, settings.ui_host, chosen, log)
        stops.callback(_end_group, dagster)
        _note(state, url, dagster.pid)
        _await_ui(url, dagster, log)
        say(f"dagster: ready at {url}")
        try:
            yield Stack(url, chosen, suites, dagster, log)
        finally:
            say("stopping Dagster, the models and the database …")


def _start_dagster(instance: Path, host: str, port: int, log: Path) -> "subprocess.Popen[bytes]":
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(instance / "workspace.yaml")]
    with log.open("wb") as output:
        return subprocess.Popen(
            [*command, "-h", host, "-p", str(port)],
            cwd=instance,
            env={**os.environ, "DAGSTER_HOME": str(instance)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C comes to us alone, and we end the parts in order
        )


def _await_ui(url: str, dagster: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _UI_TIMEOUT_S
    while True:
        try:
            with urllib.request.urlopen(f"{url}/server_info", timeout=5):  # noqa: S310 - our own http:// address
                return
        except (urllib.error.URLError, OSError):
            pass
        if dagster.poll() is not None:
            raise EvalOpsError(f"Dagster ended while it started; the end of {log}:\n{_tail(log)}")
        if time.monotonic() > deadline:
            raise EvalOpsError(f"Dagster's UI did not answer within {_UI_TIMEOUT_S} s; the end of {log}:\n{_tail(log)}")
        time.sleep(0.2)


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    """Dagster's parent ends its children by itself when asked; what is left after that is killed."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_TIMEOUT_S)
    _kill_group(process.pid)
    process.wait()


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


@contextlib.contextmanager
def _only_one(home: Path) -> Generator[IO[str], None, None]:
    """The file that says which stack is up, locked while this one is."""
    with (home / "dev.json").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            running = _read(file.read())
            where = f" at {running['url']}" if "url" in running else ""
            raise ConfigError(
                f"EvalOps is running already{where} (process {running.get('pid', 'unknown')}) with the data of {home}; "
                "use that one, end it with Ctrl-C in its terminal, or set EVALOPS_HOME to another folder"
            ) from None
        yield file
        file.truncate(0)


def _note(file: IO[str], url: str, dagster: int) -> None:
    file.truncate(0)
    json.dump(
        {"url": url, "pid": os.getpid(), "dagster": dagster, "since": psutil.Process(dagster).create_time()}, file
    )
    file.flush()


def _end_leftovers(home: Path, say: Say) -> None:
    """The Dagster of a stack whose command was killed: nobody else would ever end it."""
    before = _read((home / "dev.json").read_text())
    if "dagster" not in before:
        return
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(int(before["dagster"]))
        if process.create_time() == before["since"]:
            say("an earlier `evalops dev` was killed; ending the Dagster processes it left …")
            group = [process, *process.children(recursive=True)]
            process.send_signal(signal.SIGINT)
            _, alive = psutil.wait_procs(group, timeout=_STOP_TIMEOUT_S)
            for survivor in alive:
                survivor.kill()


def _read(text: str) -> dict[str, Any]:
    try:
        return json.loads(text)
    except ValueError:
        return {}


def _free_port(host: str, port: int, *, given: bool) -> int:
    """`port`, or where nobody asked for that very one, the next that is free."""
    for candidate in [port] if given else range(port, port + 20):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
            except OSError:
                continue
            return probe.getsockname()[1]
    raise ConfigError(f"port {port} of {host} is taken; choose another with --port, or 0 for any that is free")


@contextlib.contextmanager
def _signals() -> Generator[None, None, None]:
    """SIGTERM and SIGHUP end the stack as Ctrl-C does; a shell's background job may have ignored SIGINT."""

    def interrupt(number: int, _: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _quietly(stop: Callable[[], object]) -> None:
    """One part that cannot be stopped must not keep the others running."""
    try:
        stop()
    except EvalOpsError as error:
        print(f"warning: {error}", file=sys.stderr)


def _tail(log: Path, lines: int = 20) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
