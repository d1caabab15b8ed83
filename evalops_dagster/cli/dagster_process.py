"""Dagster's processes on this machine: web server, daemon, code servers and runs, started and ended as one.

What belongs here: finding and ending all of them, whoever died first. What does not: when to (stack), what is asked of
the web server (dagster_api). They know each other by a mark in their environment, which every one of them inherits: a
process group would lose those that outlive its leader, and a pid alone may be another program's by now.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from evalops_core.errors import EvalOpsError
from evalops_dagster.cli.dagster_api import DagsterApi

_MARK = "EVALOPS_DEV_MARK"
_UI_TIMEOUT_S = 180.0
_CANCEL_TIMEOUT_S = 15.0
_STOP_TIMEOUT_S = 30.0
_ATTEMPTS = 3
_POLL_S = 0.1
# `dagster dev` hands its option on to the web server and the daemon, not to the code server and the proxy before it.
_CODE_SERVER_FORMATS = ("DAGSTER_CLI_API_GRPC_LOG_FORMAT", "DAGSTER_CLI_CODE_SERVER_START_LOG_FORMAT")
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True, slots=True)
class DagsterProcess:
    """`dagster dev`, whose end is the end of the web server and the daemon."""

    parent: "subprocess.Popen[bytes]"
    api: DagsterApi
    log: Path
    mark: str

    def await_ui(self) -> None:
        """Returns when the web server answers; EvalOpsError with the end of the log if it does not."""
        deadline = time.monotonic() + _UI_TIMEOUT_S
        while not self.api.answers():
            if self.parent.poll() is not None:
                raise EvalOpsError(f"Dagster ended while it started; the end of {self.log}:\n{self.last_words()}")
            if time.monotonic() > deadline:
                raise EvalOpsError(
                    f"Dagster's UI did not answer within {_UI_TIMEOUT_S:.0f} s; the end of {self.log}:\n"
                    f"{self.last_words()}"
                )
            time.sleep(_POLL_S)

    def ensure_alive(self) -> None:
        if self.parent.poll() is not None:
            raise EvalOpsError(f"Dagster ended by itself; the end of {self.log}:\n{self.last_words()}")

    def stay(self) -> None:
        """Returns never: EvalOpsError when Dagster ends, or whatever interrupts it."""
        self.parent.wait()
        self.ensure_alive()

    def stop(self) -> None:
        """Cancel the runs that are under way, so that none stays `started` for ever, then end all processes."""
        if self.parent.poll() is None:
            with contextlib.suppress(EvalOpsError):  # a server that cannot be asked is ended all the same
                _cancel_runs(self.api)
        end_marked(self.mark)
        self.parent.wait()

    def last_words(self, lines: int = 20) -> str:
        said = self.log.read_text(errors="replace").splitlines()[-lines:]
        return _ESCAPE.sub("", "\n".join(said))


def start_dagster(
    instance: Path, host: str, api: DagsterApi, port: int, log: Path, mark: str, *, json_lines: bool = False
) -> DagsterProcess:
    """`dagster dev` with the `dagster.yaml` and `workspace.yaml` of the folder `instance`, writing to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(instance / "workspace.yaml")]
    code_servers = dict.fromkeys(_CODE_SERVER_FORMATS, "json") if json_lines else {}
    command += ["--log-format", "json"] if json_lines else []
    with log.open("wb") as output:
        parent = subprocess.Popen(
            [*command, "-h", host, "-p", str(port)],
            cwd=instance,
            # the links in mails lead to this server unless people reach it elsewhere
            env={"EVALOPS_UI_URL": api.url, **code_servers, **os.environ, "DAGSTER_HOME": str(instance), _MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C comes to us alone, and we end the parts in order
        )
    return DagsterProcess(parent, api, log, mark)


def marked(mark: str) -> list[psutil.Process]:
    """The living processes that carry the mark."""
    return [process for process in psutil.process_iter() if _carries(process, mark)]


def end_marked(mark: str, patience_s: float = _STOP_TIMEOUT_S) -> None:
    """Ask the topmost of them to end, which end what they started; kill what is left after `patience_s`."""
    asked = _topmost(marked(mark))
    for process in asked:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGINT)
    _await_end(asked, mark, patience_s)
    for _ in range(_ATTEMPTS):  # one of them may just have started another
        for process in (left := marked(mark)):
            with contextlib.suppress(psutil.Error):
                process.kill()
        _await_end(left, mark, _STOP_TIMEOUT_S)


def _topmost(members: Sequence[psutil.Process]) -> list[psutil.Process]:
    pids = {process.pid for process in members}
    found: list[psutil.Process] = []
    for process in members:
        with contextlib.suppress(psutil.Error):
            if process.ppid() not in pids:
                found.append(process)
    return found


def _await_end(processes: Sequence[psutil.Process], mark: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while any(_carries(process, mark) for process in processes) and time.monotonic() < deadline:
        time.sleep(_POLL_S)


def _carries(process: psutil.Process, mark: str) -> bool:
    """False for a zombie, which nobody may ever reap but which does nothing any more."""
    try:
        return process.environ().get(_MARK) == mark and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False


def _cancel_runs(api: DagsterApi) -> None:
    runs = api.active()
    if not runs:
        return
    api.cancel(runs)
    deadline = time.monotonic() + _CANCEL_TIMEOUT_S
    while set(runs) & set(api.active()) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
