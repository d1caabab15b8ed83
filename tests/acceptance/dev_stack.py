"""`evalops dev` and `evalops demo` in a process of their own, as a terminal starts them, and what they leave behind.

What belongs here: starting, reading, ending, and finding every process of one EVALOPS_HOME. What does not: what a test
expects of it.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from evalops_core.postgres.server import EmbeddedServer

PROJECT = Path(__file__).parents[2]
IN_THE_BACKGROUND = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")  # as a script's `… &` starts it


@dataclass
class Home:
    """One EVALOPS_HOME with a DAGSTER_HOME of its own and the variables that its commands are started with."""

    folder: Path
    variables: dict[str, str]
    started: list["subprocess.Popen[str]"] = field(default_factory=list["subprocess.Popen[str]"])

    def __post_init__(self) -> None:
        self.dagster.mkdir(parents=True)
        for name in ("dagster.yaml", "workspace.yaml"):
            shutil.copy(PROJECT / name, self.dagster)

    @property
    def path(self) -> Path:
        return self.folder / "home"

    @property
    def dagster(self) -> Path:
        return self.folder / "dagster home"

    @property
    def environment(self) -> dict[str, str]:
        own = {"EVALOPS_HOME": str(self.path), "DAGSTER_HOME": str(self.dagster)}
        return {**os.environ, **self.variables, **own}

    def start(self, *arguments: str, through: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [*through, sys.executable, "-m", "evalops_dagster.cli", *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        process = self.start(*arguments)
        out, err = process.communicate(timeout=170)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def start_dev(self, *, through: tuple[str, ...] = ()) -> "Dev":
        """Returns when it says that it is running."""
        process = self.start("dev", "--port", "0", through=through)
        assert process.stdout is not None
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if found := re.match(r"EvalOps is running: (http://127\.0\.0\.1:\d+)$", line):
                return Dev(process, found[1], "".join(said))
        raise AssertionError(f"evalops dev ended: {''.join(said)} {process.communicate()[1]}")

    def processes(self) -> list[str]:
        """The command lines of every living process of this home, the database's included."""
        found = [" ".join(process.cmdline()) for process in psutil.process_iter() if self._is_mine(process)]
        servers = [EmbeddedServer(folder).status() for folder in self._databases()]
        return [*found, *(f"postgres ({server.pid})" for server in servers if server is not None)]

    def end(self) -> None:
        """Whatever a test has left."""
        for process in self.started:
            process.kill()
            process.communicate()
        for process in psutil.process_iter():
            if self._is_mine(process):
                process.kill()
        for folder in self._databases():
            EmbeddedServer(folder).stop()

    def _databases(self) -> list[Path]:
        """The home's own, and the demo's."""
        return [folder for folder in (self.path / "postgres", *self.path.glob("demo/*/postgres")) if folder.is_dir()]

    def _is_mine(self, process: psutil.Process) -> bool:
        try:
            mine = Path(process.environ().get("EVALOPS_HOME", "/")).is_relative_to(self.path)
            return mine and process.status() != psutil.STATUS_ZOMBIE and process.name() != "postgres"
        except (psutil.Error, OSError):
            return False


@dataclass
class Dev:
    """One that is up; `said` is what it printed until then."""

    process: "subprocess.Popen[str]"
    url: str
    said: str

    def end(self, signal_number: int) -> tuple[int, str, str]:
        """Exit code, and what it said from then on, on stdout and on stderr."""
        self.process.send_signal(signal_number)
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err
