"""Whether what is done over and over grows with history: `python -m benchmarks constant`, with 10 k and 1 M eval runs.

What belongs here: the trend's reading, a sensor's looks and a schedule's tick, in turns over a small and a large
history. What does not: making the rows (trend_rows), how quick the trend is beside SQL (trend).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from statistics import median

from pydantic import SecretStr
from sqlalchemy import Engine, create_engine, make_url, text

from benchmarks.bench_site import Site
from benchmarks.ledger import Ledger, Value
from benchmarks.trend_rows import FEATURES, fill
from benchmarks.work import Work
from evalops_core.domain.suite import Suite
from evalops_core.run.alert_rules import AlertRules
from evalops_core.run.detect import detect, verdicts_since
from evalops_core.run.tick import decide_tick
from evalops_core.run.watch import watch
from evalops_core.store.engine import make_engine
from evalops_core.store.outbox import Outbox
from evalops_core.store.runs import EvalRuns
from evalops_core.store.schema import upgrade
from evalops_core.suites.loader import load_suite
from evalops_core.trend.history import read_newest, read_trend

_HOURS = (192, 19_200)  # of 50 features, with a run by hand a day: 10,000 and 1,000,000 eval runs
_FEATURE, _CASES, _RUNS = "feature-07", 60, 12
_GROWTH = 1.25
# The runs that a verdict reads the cases of, as an evaluation leaves them.
_SCORES = text("""
    INSERT INTO evalops.scores (eval_run_id, case_id, repeat, scorer, axis, value)
    SELECT id, 'case-' || number, 0, 'judge', 'quality', 1 + floor(random() * 5)
    FROM (SELECT id FROM evalops.eval_runs WHERE feature = :feature AND run_type = 'scheduled'
        AND status = 'completed' ORDER BY window_start DESC LIMIT :runs) AS newest
    CROSS JOIN generate_series(1, :cases) AS number
""")
_NEWEST = (
    "(SELECT max(id) FROM evalops.eval_runs WHERE feature = :feature AND run_type = 'scheduled' "
    "AND status = 'completed')"
)
_AFRESH = (
    text(f"DELETE FROM evalops.verdicts WHERE eval_run_id = {_NEWEST}"),  # noqa: S608 - our own words
    text(f"UPDATE evalops.eval_runs SET checked_at = NULL WHERE id = {_NEWEST}"),  # noqa: S608
)


def constant(site: Site, ledger: Ledger, hours: tuple[int, int] = _HOURS, times: int = 15) -> None:
    """Each `times` times in turns; the least is what the machine can do."""
    suite = load_suite(site.prepare(Work(cases=20)).parent)
    suites = [replace(suite, feature=f"feature-{number:02d}") for number in range(1, FEATURES + 1)]
    engines = [_history(site.url, f"history_{count}", count) for count in hours]
    runs = [_count(engine) for engine in engines]
    todo = [_todo(engine, count, suites) for engine, count in zip(engines, hours, strict=True)]
    rows: list[dict[str, Value]] = []
    growth: dict[str, float] = {}
    for name in todo[0]:
        took = _in_turns([of[name] for of in todo], times)
        least = [1000 * min(of) for of in took]
        growth[name] = least[1] / least[0]
        rows.append({"what": name, "ms, small": least[0], "ms, large": least[1], "median, small":
                     1000 * median(took[0]), "median, large": 1000 * median(took[1]), "×": growth[name]})  # fmt: skip
    ledger.table(f"{runs[0]:,} and {runs[1]:,} eval runs of {FEATURES} features; least of {times}", rows)
    for name, times_ in growth.items():
        ledger.goal(f"{name}, large / small", times_, limit=_GROWTH, unit="×")
    for engine in engines:
        engine.dispose()


def _todo(engine: Engine, hours: int, suites: list[Suite]) -> Mapping[str, Callable[[], object]]:
    now = datetime(2024, 1, 1, tzinfo=timezone.utc) + timedelta(hours=hours, minutes=30)
    rules, runs = AlertRules(), EvalRuns(engine)
    features = [suite.feature for suite in suites]
    with engine.begin() as connection:
        connection.execute(_SCORES, {"feature": _FEATURE, "cases": _CASES, "runs": _RUNS})
        last = connection.execute(text("SELECT max(id) FROM evalops.verdicts")).scalar_one()
    judge = _Judging(engine, rules, now)
    return {
        "trend of all features": lambda: read_newest(engine, 100),
        "trend of one feature": lambda: read_trend(engine, feature=_FEATURE, limit=100),
        "regression sensor, nothing new": lambda: (
            detect(engine, rules, now),
            verdicts_since(engine, last, features, 100),
        ),
        "regression sensor, one new score": judge,
        "incident watch": lambda: watch(engine, rules, now, scheduled=dict.fromkeys(features[:5], now)),
        "delivery, nothing due": lambda: Outbox(engine).claim(now, timedelta(minutes=2)),
        "schedule's tick, 50 features": lambda: decide_tick(suites, runs, now, over_budget=lambda _: None),
    }


class _Judging:
    """One verdict, of the newest run, made anew each time; only the look itself is timed."""

    def __init__(self, engine: Engine, rules: AlertRules, now: datetime) -> None:
        self._engine, self._rules, self._now = engine, rules, now

    def prepare(self) -> None:
        with self._engine.begin() as connection:
            for statement in _AFRESH:
                connection.execute(statement, {"feature": _FEATURE})

    def __call__(self) -> None:
        assert detect(self._engine, self._rules, self._now).judged == 1


def _in_turns(measured: list[Callable[[], object]], times: int) -> list[list[float]]:
    took: list[list[float]] = [[] for _ in measured]
    for turn in range(times + 2):
        for do, of in zip(measured, took, strict=True):
            if isinstance(do, _Judging):
                do.prepare()
            began = time.perf_counter()
            do()
            if turn > 1:  # the first ones fill the caches
                of.append(time.perf_counter() - began)
    return took


def _history(url: SecretStr, name: str, hours: int) -> Engine:
    """A database of its own with so many hours of history."""
    server = create_engine(url.get_secret_value(), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    server.dispose()
    beside = make_url(url.get_secret_value()).set(database=name)
    engine = make_engine(SecretStr(beside.render_as_string(hide_password=False)))
    upgrade(engine)
    fill(engine, hours)
    return engine


def _count(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(text("SELECT count(*) FROM evalops.eval_runs")).scalar_one()
