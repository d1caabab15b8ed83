"""What reading the trend costs beside the bare query, and whether it grows: `python -m benchmarks.trend`.

50 features × 2 years of hourly scheduled runs, 876,000 of them, in a PostgreSQL of its own, and beside it a fiftieth of
that. Everything is measured several times in turns; the least is what the machine can do, the median what it did.
What belongs here: measuring and comparing. What does not: making the rows (trend_rows).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
from pydantic import SecretStr
from sqlalchemy import Select, create_engine, make_url, text
from sqlalchemy.dialects import postgresql

from benchmarks.trend_rows import FEATURES, HOURS, fill
from evalops_core.postgres.guard import guarded_server
from evalops_core.store.engine import make_engine
from evalops_core.store.history import newest_query, trend_query
from evalops_core.store.schema import upgrade

_FEATURE, _LIMIT, _PART = "feature-07", 100, 50
_MEMORY_MB = 300
_READ = """
import resource, sys, time
import dagster
from pydantic import SecretStr
from evalops_core.store.engine import make_engine
from evalops_core.trend.frame import trend_frame
from evalops_core.trend.history import read_newest
engine = make_engine(SecretStr(sys.argv[1]))
engine.connect().close()
began = time.perf_counter()
rows = read_newest(engine, int(sys.argv[2]))
took = time.perf_counter() - began
frame = trend_frame(rows)
print(len(frame), took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@dataclass(frozen=True)
class Took:
    """Seconds."""

    least: float
    median: float

    def __str__(self) -> str:
        return f"{1000 * self.least:7.1f} ms, median {1000 * self.median:7.1f}"


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trend", description=__doc__)
    parser.add_argument("--hours", type=int, default=HOURS, help="of history; less is quicker")
    parser.add_argument("--times", type=int, default=9)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, guarded_server(Path(folder) / "postgres") as server:
        large = server.url.get_secret_value()
        small = _beside(large, "small")
        rows = [_filled(url, hours) for url, hours in ((large, chosen.hours), (small, chosen.hours // _PART))]
        _measure(Path(folder), large, small, rows, chosen.times)


def _measure(folder: Path, large: str, small: str, rows: Sequence[int], times: int) -> None:
    one, every, each = _of_one(), _of_all(), newest_query(_LIMIT)
    command = [sys.executable, "-m", "evalops_dagster.cli", "trend", "--limit", str(_LIMIT)]
    of_one = [*command, "--feature", _FEATURE]
    apart = {"EVALOPS_HOME": str(folder / "home")}
    found = _in_turns(
        times,
        {
            "bare": _query(large, one),
            "bare small": _query(small, one),
            "bare all": _query(large, every),
            "bare each": _query(large, each),
            "python": _process([sys.executable, "-c", "pass"], {}),
            "libraries": _process([sys.executable, "-c", "import sqlalchemy, psycopg2"], {}),
            "table": _process(of_one, apart | {"EVALOPS_DATABASE_URL": large}),
            "table small": _process(of_one, apart | {"EVALOPS_DATABASE_URL": small}),
            "csv": _process([*of_one, "--format", "csv"], apart | {"EVALOPS_DATABASE_URL": large}),
            "parquet": _process([*of_one, "--format", "parquet"], apart | {"EVALOPS_DATABASE_URL": large}),
            "table all": _process(command, apart | {"EVALOPS_DATABASE_URL": large}),
            "table embedded": _process(of_one, {"EVALOPS_HOME": str(folder)}),
        },
    )
    print(f"\n{rows[0]:,} runs of {FEATURES} features, and {rows[1]:,}; {times} times each")
    words = {
        "bare": f"the bare query, one feature, {_LIMIT} rows",
        "bare small": "  of the small table",
        "bare all": f"the bare query, all features, {_LIMIT} rows",
        "bare each": f"the bare query, {_LIMIT} rows of each feature",
        "python": "python -c pass",
        "libraries": 'python -c "import sqlalchemy, psycopg2"',
        "table": "evalops trend --feature F --limit 100",
        "table small": "  of the small table",
        "csv": "  --format csv",
        "parquet": "  --format parquet",
        "table all": "evalops trend --limit 100",
        "table embedded": "evalops trend --feature F, embedded server",
    }
    for name, took in found.items():
        print(f"{words[name]:<46} {took}")
    least = {name: took.least for name, took in found.items()}
    print("\nratios of the least")
    for name in ("table", "csv", "parquet", "table embedded"):
        start = least["bare"] + least["libraries"]
        _ratio(f"{words[name].strip()} / (bare query + start with libraries)", least[name] / start, limit=3)
    _ratio(
        "evalops trend --feature F / (bare query + python -c pass)", least["table"] / (least["bare"] + least["python"])
    )
    all_bare = least["bare all"] + least["libraries"]
    _ratio("evalops trend / (its bare query + start with libraries)", least["table all"] / all_bare, limit=3)
    _ratio(f"bare query, table × {_PART}", least["bare"] / least["bare small"], limit=1.25)
    _ratio(f"evalops trend --feature F, table × {_PART}", least["table"] / least["table small"], limit=1.25)
    _asset(large, least["bare each"])


def _asset(url: str, bare: float) -> None:
    """A process with Dagster in it that reads what the asset reads."""
    command = [sys.executable, "-c", _READ, url, str(_LIMIT)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    count, took, peak = int(said[0]), float(said[1]), float(said[2])
    _ratio(f"the asset's reading, {count} rows in {1000 * took:.0f} ms / the bare query", took / bare)
    _ratio("its process's peak, MB", peak, limit=_MEMORY_MB)


def _ratio(what: str, value: float, limit: float | None = None) -> None:
    asked = "" if limit is None else f"≤ {limit:g}"
    print(f"{what:<76} {value:6.2f}  {asked:<6} {'MISSED' if limit is not None and value > limit else ''}")


def _in_turns(times: int, measured: Mapping[str, Callable[[], float]]) -> dict[str, Took]:
    """Each `times` times, in turns, after once for the caches."""
    taken: dict[str, list[float]] = {name: [] for name in measured}
    for turn in range(times + 1):
        for name, measure in measured.items():
            took = measure()
            if turn:
                taken[name].append(took)
    return {name: Took(min(of), statistics.median(of)) for name, of in taken.items()}


def _of_one() -> Select[Any]:
    return trend_query(feature=_FEATURE, model=None, limit=_LIMIT, since=None)


def _of_all() -> Select[Any]:
    return trend_query(feature=None, model=None, limit=_LIMIT, since=None)


def _query(url: str, query: Select[Any]) -> Callable[[], float]:
    """Seconds for the statement on a connection that is open already."""
    statement = str(query.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}))
    connection = psycopg2.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False))
    connection.autocommit = True

    def measure() -> float:
        with connection.cursor() as cursor:
            began = time.perf_counter()
            cursor.execute(statement)
            cursor.fetchall()
            return time.perf_counter() - began

    return measure


def _process(command: Sequence[str], environment: Mapping[str, str]) -> Callable[[], float]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("EVALOPS_")}

    def measure() -> float:
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=inherited | dict(environment))
        return time.perf_counter() - began

    return measure


def _filled(url: str, hours: int) -> int:
    engine = make_engine(SecretStr(url))
    try:
        upgrade(engine)
        return fill(engine, hours)
    finally:
        engine.dispose()


def _beside(url: str, name: str) -> str:
    """Another database of the same server, empty."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return make_url(url).set(database=name).render_as_string(hide_password=False)


if __name__ == "__main__":
    main()
