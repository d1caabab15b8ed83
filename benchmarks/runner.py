"""A command as a whole process: what it took from its start to its end, by the operating system's accounting.

What belongs here: starting, watching, killing, reading the clock and the usage. What does not: what the command does.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.result import Result, find_result

ROOT = Path(__file__).parents[1]
_POLL_S = 0.01


def favour(pid: int) -> None:
    """Give a process BENCH_NICE (-12 for a larger share of a busy machine; root only), with what it starts from now on.

    Linux shares time between sessions first, and each has a nice level of its own; the caller's is left alone, for it
    is there longer than this.
    """
    nice = os.environ.get("BENCH_NICE")
    if nice:
        os.setpriority(os.PRIO_PROCESS, pid, int(nice))
        if os.getsid(pid) != os.getsid(0):
            with contextlib.suppress(OSError):
                Path(f"/proc/{pid}/autogroup").write_text(nice)


@dataclass(frozen=True)
class Usage:
    """`cpu_s` includes the children that the process waited for; `peak_mb` is the largest single process's."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    exit_code: int
    cold_s: float | None  # until the first call went out
    said: str

    @property
    def result(self) -> Result | None:
        return find_result(self.said)


@dataclass
class Watch:
    """What is asked every few milliseconds while the process lives: whether a call has come, and whether to kill it."""

    called: Callable[[], bool] | None = None
    kill_when: Callable[[], bool] | None = None


def run_process(
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    *,
    watch: Watch | None = None,
    timeout_s: float = 900,
) -> Usage:
    """Run it to its end, in a session of its own so that all of it can be killed; its output goes to `log`."""
    watch = watch or Watch()
    with log.open("w") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, env=dict(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
        favour(process.pid)
        cold_s = None
        while True:
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
            took = time.perf_counter() - began
            if ended:
                break
            if cold_s is None and watch.called and watch.called():
                cold_s = took
            if took > timeout_s or (watch.kill_when and watch.kill_when()):
                os.killpg(process.pid, signal.SIGKILL)
            time.sleep(_POLL_S)
        process.returncode = os.waitstatus_to_exitcode(status)
    return Usage(
        wall_s=took,
        cpu_s=used.ru_utime + used.ru_stime,
        peak_mb=used.ru_maxrss / 1024,  # Linux counts in KiB
        exit_code=process.returncode,
        cold_s=cold_s,
        said=log.read_text(errors="replace"),
    )
