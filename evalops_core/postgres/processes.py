"""Which processes serve a data folder: the postmaster, if it lives, and backends that outlived theirs.

What belongs here: questions to the process table, and ending processes. What does not: when to (server). A pid in a
file proves nothing, for it may be a zombie's or another program's by now; what proves it is that the process is alive
and that its working folder is the data folder.
"""

import contextlib
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from evalops_core.errors import ConfigError
from evalops_core.postgres.binaries import run_program
from evalops_core.postgres.privileges import ONESELF, Privileges

_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Postmaster:
    """A server that lives; `port` is None while it has not written its own yet."""

    pid: int
    port: int | None


def find_postmaster(data: Path) -> Postmaster | None:
    """The living server that `data/postmaster.pid` speaks of; None where there is no such file or it is out of date."""
    try:
        lines = (data / "postmaster.pid").read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return None
    except PermissionError:
        raise ConfigError(
            "this database is another user's; run as that user, or set EVALOPS_HOME to a folder of your own", file=data
        ) from None
    try:
        pid = abs(int(lines[0]))  # a single-user backend writes its pid as a negative number
    except (IndexError, ValueError):
        return None
    if pid == 0 or not _serves(pid, data):
        return None
    return Postmaster(pid, int(lines[3]) if len(lines) > 3 and lines[3].isdecimal() else None)


def end_postmaster(data: Path, pid: int, timeout_s: float) -> bool:
    """Shut the server down, its sessions included; False if it is still there after `timeout_s`, twice.

    First "fast" (SIGINT: sessions are ended, everything is written out), then "immediate" (SIGQUIT: the next start
    recovers from the log).
    """
    for way in (signal.SIGINT, signal.SIGQUIT):
        with contextlib.suppress(psutil.Error):
            psutil.Process(pid).send_signal(way)
        if not _remaining([pid], data, timeout_s):
            return True
    return False


def end_orphans(data: Path, privileges: Privileges = ONESELF, patience_s: float = 10.0) -> None:
    """End PostgreSQL processes that still work on `data` although their postmaster is gone.

    They are attached to its shared memory, so no new server could start. Asked first (SIGTERM), killed `patience_s`
    later. `privileges` are those they were started with.
    """
    candidates = [process.pid for process in psutil.process_iter() if _is_postgres(process)]
    orphans = [pid for pid in candidates if _serves(pid, data, privileges)]
    for way in (signal.SIGTERM, signal.SIGKILL):
        for pid in orphans:
            with contextlib.suppress(psutil.Error):
                psutil.Process(pid).send_signal(way)
        orphans = _remaining(orphans, data, patience_s, privileges)


def _remaining(pids: Sequence[int], data: Path, timeout_s: float, privileges: Privileges = ONESELF) -> list[int]:
    """Those that still serve `data` after at most `timeout_s`. A zombie that nobody reaps serves nothing."""
    deadline = time.monotonic() + timeout_s
    while (left := [pid for pid in pids if _serves(pid, data, privileges)]) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return left


def _is_postgres(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.name() == "postgres"
    return False


def _serves(pid: int, data: Path, privileges: Privileges = ONESELF) -> bool:
    try:
        process = psutil.Process(pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return False
        try:
            folder = process.cwd()
        except psutil.AccessDenied:
            # Root without CAP_SYS_PTRACE, as in many containers, may not see it. The postmaster's command line is open
            # to all and names the folder; for a backend, one has to be its user.
            if str(data) in process.cmdline():
                return True
            if privileges.owner is None:
                return False
            seen = run_program(
                ["/bin/sh", "-c", 'cd "/proc/$1/cwd" && pwd -P', "sh", str(pid)], timeout_s=30, privileges=privileges
            )
            folder = seen.output if seen.code == 0 else ""
        return bool(folder) and Path(folder).samefile(data)
    except (psutil.Error, OSError):
        return False
