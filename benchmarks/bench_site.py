"""Where the work is done: the mock endpoint, a PostgreSQL of its own, and the files and variables that lead there.

What belongs here: starting and describing them. What does not: running anything against them.
"""

import itertools
import os
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from pydantic import SecretStr

from benchmarks.runner import ROOT, favour
from benchmarks.work import JUDGE, Work, write_suite
from evalops_core.postgres.guard import guarded_server
from evalops_core.postgres.server import EmbeddedServer
from evalops_core.settings import Settings, load_settings
from evalops_core.store.engine import make_engine
from evalops_core.store.schema import upgrade
from tests.mock_fixture import MockOpenAI, start_mock


@dataclass(frozen=True)
class Site:
    """`trials` numbers what is prepared."""

    folder: Path
    mock: MockOpenAI
    url: SecretStr
    trials: Iterator[int]

    def prepare(self, work: Work, **faults: float | str) -> Path:
        """Write the suite, and let the mock forget and behave; the suite's cases.jsonl."""
        self.mock.reset()
        self.mock.configure(latency_ms=work.latency_ms, **faults)
        folder = write_suite(self.folder / "suites", self.mock.base_url, work.cases, next(self.trials))
        return folder / "cases.jsonl"

    def environment(self, work: Work) -> dict[str, str]:
        """Variables for our own processes; nothing that the caller has set for EvalOps or Dagster gets through."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("EVALOPS_", "DAGSTER_"))}
        return kept | {
            "EVALOPS_HOME": str(self.folder / "home"),
            "EVALOPS_DATABASE_URL": self.url.get_secret_value(),
            "EVALOPS_SUITES": str(self.folder / "suites"),
            "EVALOPS_JUDGE_MODEL": JUDGE,
            "EVALOPS_JUDGE_BASE_URL": self.mock.base_url,
            "EVALOPS_MAX_CONCURRENCY": str(work.in_flight),
            "DAGSTER_HOME": str(self.folder / "dagster"),
        }

    def settings(self, work: Work) -> Settings:
        """The same for this process."""
        return load_settings(
            home=self.folder / "home",
            database_url=self.url,
            suites=(self.folder / "suites",),
            judge_model=JUDGE,
            judge_base_url=self.mock.base_url,
            max_concurrency=work.in_flight,
        )

    def database_cpu_s(self) -> float:
        """What the server's living processes have used; those that ended are in their parent's count."""
        running = EmbeddedServer(self.folder / "postgres").status()
        if running is None:
            return 0.0
        server = psutil.Process(running.pid)
        own = server.cpu_times()
        each = [child.cpu_times() for child in server.children()]
        return own.children_user + own.children_system + sum(used.user + used.system for used in (own, *each))


@contextmanager
def open_site(folder: Path) -> Generator[Site]:
    """Everything is ended with the block."""
    process, mock = start_mock()
    with process, guarded_server(folder / "postgres") as server:
        running = EmbeddedServer(folder / "postgres").status()
        for pid in (process.pid, *((running.pid,) if running else ())):
            favour(pid)
        engine = make_engine(server.url)
        upgrade(engine)
        engine.dispose()
        (folder / "dagster").mkdir()
        for name in ("dagster.yaml", "workspace.yaml"):
            shutil.copy(ROOT / name, folder / "dagster")
        try:
            yield Site(folder, mock, server.url, itertools.count())
        finally:
            process.terminate()
