"""Hundreds of scheduled runs on one deployment, and whether anything grows: `python -m benchmarks soak`.

What belongs here: the hours, the ticks' times, the tables and the verdict. What does not: looking at processes
(samples), telling growth from noise (growth).
"""

import json
import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from statistics import median

import dagster as dg
from dagster._core.scheduler.instigation import TickStatus
from sqlalchemy import Engine, make_url, text

from benchmarks.bench_site import Site
from benchmarks.ledger import Ledger, machine
from benchmarks.soak.features import FEATURES, Endpoints, endpoints, variables, write_suites
from benchmarks.soak.growth import FEWEST_RUNS, PARTS, Point, Trend, parts, trend
from benchmarks.soak.location import REAPER_GRACE_S, SENSORS_EVERY_S, TICKS
from benchmarks.soak.samples import Name, Sampler
from benchmarks.soak.site import PATIENCE_S, Full, full_deployment
from evalops_core.domain.window import window_of
from evalops_core.store.engine import make_engine
from tests.acceptance.clocked import SharedClock
from tests.acceptance.deployments import awaited

_CASES, _LATENCY_MS = 4, 5.0
# As often as Dagster looks; the project's own look every 15 s and seldomer.
_LOCATION = {SENSORS_EVERY_S: "5", REAPER_GRACE_S: "60"}
_HOUR, _INTO = timedelta(hours=1), timedelta(minutes=10)
_TELL_EVERY = 25
# What nobody minds over the whole run: a share of the figure, and at least so much of its unit.
_TOLERATED: Mapping[str, tuple[float, float]] = {
    "PSS, MB": (0.05, 2.0),
    "RSS, MB": (0.05, 2.0),
    "connections": (0.0, 0.5),
    "open files": (0.0, 1.0),
    "threads": (0.0, 1.0),
    "tick, ms": (0.1, 5.0),
    "tick's CPU, ms": (0.1, 2.0),
    "run, s": (0.1, 0.2),
    "pages, s": (0.1, 0.05),
}
_LEAST = ("connections", "open files", "threads")  # come and go; what leaks does not go
_HELD = ("PSS, MB", "RSS, MB", "connections", "tick, ms", "tick's CPU, ms")  # must not grow; the others are told
_DONE = text("SELECT count(*) FILTER (WHERE status = 'completed'), count(*) FROM evalops.eval_runs")
_SIZE = text("SELECT pg_database_size(:name)")


@dataclass
class Course:
    """What happened: when each run ended by the machine's clock, and the figures by name, over the runs so far."""

    ended: list[float] = field(default_factory=list[float])
    series: dict[Name, list[Point]] = field(default_factory=dict[Name, list[Point]])
    facts: dict[str, float | int | str] = field(default_factory=dict[str, float | int | str])
    findings: list[str] = field(default_factory=list[str])

    def so_far(self, at: float) -> float:
        """How many runs had ended at a time of the machine's clock."""
        return bisect_right(self.ended, at)

    def add(self, what: str, whom: str, at: float, figure: float) -> None:
        self.series.setdefault((what, whom), []).append((at, figure))


def soak(site: Site, ledger: Ledger, runs: int, minutes: float, output: Path | None) -> None:
    """Tables by tenths and what grows; an interruption is told of as far as it came, and counts as missed."""
    course = Course()
    described = machine()
    with ExitStack() as stack:
        to = stack.enter_context(endpoints(_CASES))
        write_suites(site.folder / "suites", to)
        to.behave((), _LATENCY_MS)
        engine = make_engine(site.url)
        stack.callback(engine.dispose)
        clock = SharedClock(engine)
        first = window_of(datetime.now(timezone.utc) - (runs + 2) * _HOUR, 1)
        clock.make(first.start - _HOUR / 2)
        own = {**variables(site.url, site.folder, to), **_LOCATION}
        full = stack.enter_context(full_deployment(site.folder / "one", site.url, own, clock.now()))
        watching = make_engine(site.url)
        stack.callback(watching.dispose)
        port = make_url(site.url.get_secret_value()).port
        assert port is not None
        sampler = Sampler(full, watching, port, lambda: len(course.ended))
        began = time.monotonic()
        try:
            with sampler.running():
                for number in range(runs):
                    assert time.monotonic() < began + 60 * minutes, f"{minutes:g} minutes are over"
                    _run(full, clock, first.start + number * _HOUR, course)
                    if number % _TELL_EVERY == _TELL_EVERY - 1:
                        each = (time.monotonic() - began) / (number + 1)
                        ledger.say(f"{number + 1} of {runs} runs, {each:.1f} s each")
        except KeyboardInterrupt:
            ledger.say("interrupted")
            ledger.missed += 1
        except Exception as problem:  # noqa: BLE001  # whatever it is, the runs before it are told of
            ledger.say(f"! run {len(course.ended) + 1}: {problem!r}"[:3000])
            ledger.missed += 1
        course.series |= sampler.samples.series
        course.facts = {"runs": len(course.ended), "minutes": round((time.monotonic() - began) / 60, 1)}
        if course.ended:
            _read(site, full, engine, to, course)
        course.findings += [f"{times} looks failed: {problem}" for problem, times in sampler.problems.items()]
    for finding in course.findings:
        ledger.say(f"! {finding}")
    if course.ended:
        trends = _tell(ledger, course)
        if output is not None:
            _write(output, described, course, trends)


def _run(full: Full, clock: SharedClock, hour: datetime, course: Course) -> None:
    """One scheduled run, from the hour's beginning to the run's end, and a look at the UI."""
    began, at = time.monotonic(), len(course.ended)
    clock.set(hour + _INTO)
    awaited(lambda: full.ticked(hour), f"the tick of {hour:%d %H:%M}", within_s=PATIENCE_S)
    awaited(full.is_idle, f"the run of {hour:%d %H:%M} to end", within_s=PATIENCE_S)
    course.add("run, s", "tick to end", at, time.monotonic() - began)
    looked_s = full.look_at_pages()
    if looked_s is not None:
        course.add("pages, s", "web server", at, looked_s)
    course.ended.append(time.time())


def _read(site: Site, full: Full, engine: Engine, to: Endpoints, course: Course) -> None:
    """What Dagster and the database know at the end."""
    failures = 0
    for name, ticks in full.sensor_ticks().items():
        for tick in ticks:
            if tick.status is TickStatus.FAILURE:
                failures += 1
            elif tick.end_timestamp is not None:
                at = course.so_far(tick.timestamp)
                judged = (tick.skip_reason or "").startswith("checked")
                course.add("tick, ms", _which(name, judged=judged), at, 1000 * (tick.end_timestamp - tick.timestamp))
    for line in (full.deployment.home / TICKS).read_text().splitlines():
        taken = json.loads(line)
        judged = taken["news"] and taken["sensor"].startswith("regression")
        at = course.so_far(taken["at"])
        course.add("tick's CPU, ms", _which(taken["sensor"], judged=judged), at, 1000 * taken["cpu_s"])
    bad = [run for run in full.runs() if run.status is not dg.DagsterRunStatus.SUCCESS]
    course.findings += [full.why(run) for run in bad] + full.refusals
    succeeded = full.instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]))
    with engine.connect() as connection:
        completed, stored = connection.execute(_DONE).one()
        course.facts |= {
            "Dagster runs": len(full.runs()),
            "  succeeded": succeeded,
            "eval runs completed": completed,
            "eval runs in all": stored,
            "calls": len(to.asked()),
            "calls needed": len(to.calls_of_a_window()) * len(course.ended),
            "failed sensor ticks": failures,
            "features": len(FEATURES),
            "cases each": to.cases,
        }
        for name in (str(make_url(site.url.get_secret_value()).database), full.name):
            course.facts[f"database {name}, MB"] = connection.execute(_SIZE, {"name": name}).scalar_one() / 2**20


def _tell(ledger: Ledger, course: Course) -> Mapping[Name, Trend | None]:
    end, trends = len(course.ended), dict[Name, Trend | None]()
    ledger.table("what was done", [{"what": what, "": figure} for what, figure in course.facts.items()])
    by_kind: dict[str, list[Name]] = {}
    for name in sorted(course.series):
        by_kind.setdefault(name[0], []).append(name)
    for kind, names in by_kind.items():
        rows = [
            {"of": name[1], **{f"{10 * (part + 1)} %": figure for part, figure in enumerate(_tenths(course, name))}}
            for name in names
        ]
        ledger.table(f"{kind}: medians by tenths of {end} runs", rows)
    for name in sorted(course.series):
        share, least = _TOLERATED[name[0]]
        of = min if name[0] in _LEAST else median
        level = parts(course.series[name], end, 5, of=of)[1] or 0.0
        trends[name] = trend(course.series[name], end, tolerated=max(least, share * level), of=of)
    rows = [
        {"what": f"{name[0]}: {name[1]}", "2nd fifth": found.first, "last fifth": found.last, "change": found.change,
         "from": found.low, "to": found.high, "tolerated": found.tolerated, "": found.verdict}
        for name, found in trends.items() if found is not None
    ]  # fmt: skip
    if rows:
        ledger.table("change after the first fifth, with its 95 % interval; of what comes and goes, the least", rows)
    growing = [name for name, found in trends.items() if found and found.verdict == "grows" and name[0] in _HELD]
    ledger.goal("figures of connections, memory and ticks that grow", len(growing), limit=0)
    ledger.goal("runs without which nothing can be said of growth", end, floor=FEWEST_RUNS)
    needed = [course.facts[name] == end for name in ("Dagster runs", "  succeeded")]
    ledger.goal("runs that succeeded", int(course.facts["  succeeded"]), floor=end)
    ledger.missed += not all(needed)
    return trends


def _which(sensor: str, *, judged: bool) -> str:
    """A tick that judges has more to do than one that finds nothing new."""
    return f"{sensor}, new scores" if judged else sensor


def _tenths(course: Course, name: Name) -> Sequence[float | None]:
    return parts(course.series[name], len(course.ended), PARTS)


def _write(output: Path, described: str, course: Course, trends: Mapping[Name, Trend | None]) -> None:
    """Tenths and trends by figure; points are left out."""
    figures = [
        {"what": name[0], "of": name[1], "tenths": _tenths(course, name), "trend": found and asdict(found)}
        for name, found in trends.items()
    ]
    document = {"machine": described, "facts": course.facts, "figures": figures}
    output.write_text(json.dumps(document, indent=1) + "\n")
