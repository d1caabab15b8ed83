"""Everything that runs on one machine, started together and ended together: database, models, Dagster.

What belongs here: the order of starting and stopping, and what is said about it. What does not: each part's own life
(postgres, local_model, dagster_process), what is done with the running stack (dev, demo).
"""

import contextlib
import errno
import fcntl
import ipaddress
import json
import os
import secrets
import socket
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

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
from evalops_dagster.cli.dagster_api import DagsterApi
from evalops_dagster.cli.dagster_process import DagsterProcess, end_marked, marked, start_dagster
from evalops_dagster.cli.instance import instance_folder
from evalops_dagster.cli.waiting import deaf, interruptible

Say = Callable[[str], None]

_PORTS_TRIED = 20


@dataclass(frozen=True, slots=True)
class Stack:
    """`url` is the UI's."""

    url: str
    suites: Suites
    dagster: DagsterProcess


@contextlib.contextmanager
def running_stack(settings: Settings, port: int | None, say: Say) -> Generator[Stack, None, None]:
    """The whole of it while the block runs; ended however the block ends, SIGTERM and Ctrl-C included.

    ConfigError where a stack of this EVALOPS_HOME is up already, its folder cannot be used, or the port is taken.
    """
    instance = instance_folder()
    with interruptible(), _only_one(settings.home) as state, contextlib.ExitStack() as stops:
        _end_leftovers(state, say)
        _note(state, pid=os.getpid())
        try:
            yield _start(settings, port, say, instance, state, stops)
        finally:
            deaf()
            say("stopping Dagster, the models and the database …")


def _start(
    settings: Settings, port: int | None, say: Say, instance: Path, state: IO[str], stops: contextlib.ExitStack
) -> Stack:
    first = settings.ui_port if port is None else port
    chosen = free_port(settings.ui_host, first, exactly=port is not None or "ui_port" in settings.model_fields_set)
    if first not in (0, chosen):
        say(f"port {first} is taken; the UI gets {chosen}")
    if not is_loopback(settings.ui_host):
        say(
            f"warning: Dagster's UI has no login, and with EVALOPS_UI_HOST={settings.ui_host} whoever reaches this "
            "machine can launch runs and read all data; put a proxy with a login before it, see docs/security.md"
        )
    server = embedded_server(settings) if settings.database_url is None else None
    if server is not None:
        say("database: starting the embedded PostgreSQL …")
        stops.callback(_quietly, server.stop)
    else:
        _upgrade(settings, say)  # Dagster's processes refuse one's own database unless it is up to date
    after_dagster = stops.enter_context(contextlib.ExitStack())
    log, url = settings.home / "logs" / "dagster.log", _url(settings.ui_host, chosen)
    mark = secrets.token_hex(8)
    _note(state, pid=os.getpid(), url=url, mark=mark)
    stops.callback(end_marked, mark)  # first, so that an interruption amid the start leaves nothing
    # Its processes import for a second before they need the embedded database, and would start it themselves.
    in_json = settings.log_format == "json"
    dagster = start_dagster(instance, settings.ui_host, DagsterApi(url), chosen, log, mark, json_lines=in_json)
    stops.callback(dagster.stop)
    if server is not None:
        server.start()
        _upgrade(settings, say)
    suites = read_suites(settings)
    for problem in suites.broken.values():
        say(f"warning: {problem}")
    if needs_embedded_model(suites.usable, settings):
        say("models: starting the embedded models (the first time their files are fetched, 120 MB) …")
        models = model_server(settings)
        after_dagster.callback(_quietly, models.stop)
        say(f"models: ready at {models.start().url}")
    say(f"dagster: starting the web server and the daemon (log: {log}) …")
    dagster.await_ui()
    say(f"dagster: ready at {url}")
    return Stack(url, suites, dagster)


def _upgrade(settings: Settings, say: Say) -> None:
    applied = upgrade_store(settings)
    say(f"database: ready{f', {len(applied)} migrations applied' if applied else ''}")


@contextlib.contextmanager
def _only_one(home: Path) -> Generator[IO[str], None, None]:
    """The file that says which stack is up, locked while this one is."""
    with _opened(home) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            running = _read(file)
            where = f" at {running['url']}" if "url" in running else ""
            raise ConfigError(
                f"EvalOps is running already{where} (process {running.get('pid', 'unknown')}) with the data of {home}; "
                "use that one, end it with Ctrl-C in its terminal, or set EVALOPS_HOME to another folder"
            ) from None
        yield file


def _opened(home: Path) -> IO[str]:
    try:
        home.mkdir(parents=True, exist_ok=True)
        return (home / "dev.json").open("a+")
    except OSError as error:
        raise ConfigError(
            f"{home} cannot be used ({error.strerror}); set it to a folder that you can write to", key="EVALOPS_HOME"
        ) from None


def _note(file: IO[str], **facts: str | int) -> None:
    """For whoever comes second, and for the next start: it stays, so that what was left can be found by its mark."""
    file.truncate(0)
    json.dump(facts, file)
    file.flush()


def _end_leftovers(state: IO[str], say: Say) -> None:
    """The Dagster of a stack whose command was killed: nobody else would ever end it."""
    mark = _read(state).get("mark")
    if isinstance(mark, str) and marked(mark):
        say("an earlier `evalops` was killed; ending the Dagster processes it left …")
        end_marked(mark)


def _read(file: IO[str]) -> dict[str, Any]:
    file.seek(0)
    try:
        said = json.loads(file.read())
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def free_port(host: str, first: int, *, exactly: bool) -> int:
    """`first`, or unless it has to be `exactly` that one, the next that is free; of 0, any. ConfigError without one."""
    for candidate in range(first, first + 1 if exactly else min(first + _PORTS_TRIED, 65536)):
        try:
            return _bindable(host, candidate)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise ConfigError(
                    f"port {candidate} of {host} cannot be served on ({error.strerror}); choose another with --port, "
                    "or another address with EVALOPS_UI_HOST"
                ) from None
    raise ConfigError(f"port {first} of {host} is taken; choose another with --port, or 0 for any that is free")


def _bindable(host: str, port: int) -> int:
    """OSError where a server could not listen there."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        return probe.getsockname()[1]


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what is served there; False for a name that cannot be resolved."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_loopback for entry in found)


def _url(host: str, port: int) -> str:
    """Where a browser on this machine finds it."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not served on
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def _quietly(stop: Callable[[], object]) -> None:
    """One part that cannot be stopped must not keep the others running."""
    try:
        stop()
    except EvalOpsError as error:
        print(f"warning: {error}", file=sys.stderr)
