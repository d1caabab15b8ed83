"""What a deployment's processes and its database server hold, looked at every few seconds.

What belongs here: memory, connections, files and threads, by process and by application name. What does not: what
becomes of the figures (growth, endurance).
"""

import threading
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psutil
from sqlalchemy import Engine, text

from benchmarks.soak.growth import Point
from benchmarks.soak.site import Full

_EVERY_S = 2.0
_MB = 2**20
_SESSIONS = text("""
    SELECT datname, usename, CASE WHEN application_name LIKE 'evalops-gate:%' THEN 'evalops-gate' ELSE application_name
    END, count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
    GROUP BY 1, 2, 3
""")
Name = tuple[str, str]  # what, of whom


@dataclass
class Samples:
    """Points by name: `PSS, MB` and so on of each process, `connections` of each database, role and application."""

    series: dict[Name, list[Point]] = field(default_factory=dict[Name, list[Point]])
    sessions: set[str] = field(default_factory=set[str])

    def add(self, what: str, whom: str, at: float, figure: float) -> None:
        self.series.setdefault((what, whom), []).append((at, figure))


class Sampler:
    """Looks at `full` and at the sessions of its server, from a thread of its own; `so_far`: runs that ended."""

    def __init__(self, full: Full, engine: Engine, port: int, so_far: Callable[[], float]) -> None:
        self._full, self._engine, self._port, self._so_far = full, engine, port, so_far
        self._stop = threading.Event()
        self.samples = Samples()
        self.problems: Counter[str] = Counter()

    @contextmanager
    def running(self) -> Generator[None]:
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(30)

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            try:
                self._look()
            except Exception as problem:  # noqa: BLE001  # a look that fails is told of at the end, and the run goes on
                self.problems[repr(problem)[:200]] += 1

    def _look(self) -> None:
        at = self._so_far()
        for name, process in list(self._full.deployment.processes.items()):
            with suppress(psutil.NoSuchProcess):
                self._process(name, psutil.Process(process.pid), at)
        found: Counter[str] = Counter()
        with self._engine.connect() as connection:
            for database, role, application, count in connection.execute(_SESSIONS):
                found[f"{database}, {role}, {application or '(no name)'}" if database else "(starting)"] += count
        self.samples.sessions |= found.keys()
        for whom in self.samples.sessions:  # those that are gone count as none
            self.samples.add("connections", whom, at, found[whom])
        self.samples.add("connections", "all", at, found.total())

    def _process(self, name: str, process: psutil.Process, at: float) -> None:
        memory = process.memory_full_info()
        self.samples.add("PSS, MB", name, at, memory.pss / _MB)
        self.samples.add("RSS, MB", name, at, memory.rss / _MB)
        self.samples.add("open files", name, at, process.num_fds())
        self.samples.add("threads", name, at, process.num_threads())
        to_database = [each for each in process.net_connections("tcp") if each.raddr and each.raddr[1] == self._port]
        self.samples.add("connections", name, at, sum(each.status == "ESTABLISHED" for each in to_database))
