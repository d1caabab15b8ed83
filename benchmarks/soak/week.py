"""Two whole deployments over one eval database for a week of hourly windows, with kills: `python -m benchmarks week`.

What belongs here: the hours, one after the other. What does not: the plan (week_plan), the kills (strikes), what is
right at the end (week_tally).
"""

import random
import time
from collections import Counter
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta, timezone

from sqlalchemy import text

from benchmarks.bench_site import Site
from benchmarks.ledger import Ledger
from benchmarks.soak.features import FEATURES, endpoints, variables, write_suites
from benchmarks.soak.location import REAPER_GRACE_S, SENSORS_EVERY_S
from benchmarks.soak.site import PATIENCE_S, Full, full_deployment
from benchmarks.soak.strikes import Stage, Struck, strike, strike_a_daemon, strike_sensors
from benchmarks.soak.week_plan import AFTER, Hour, plan
from benchmarks.soak.week_tally import Facts, Past, read_facts
from evalops_core.domain.window import Window, window_of
from evalops_core.store.engine import make_engine
from evalops_core.store.gate import Gate
from tests.acceptance.clocked import SharedClock
from tests.acceptance.deployments import awaited, held_commits

CASES = 12  # more than the ten that the statistics ask for
# Each hour waits for its verdicts, and after a kill for the reaper, whose usual patience is a minute.
_LOCATION = {SENSORS_EVERY_S: "2", REAPER_GRACE_S: "20"}
_LATENCY_MS, _STRUCK_LATENCY_MS = 5.0, 300.0
_HOUR, _INTO = timedelta(hours=1), timedelta(minutes=10)
_DONE = text("""
    SELECT count(*) FILTER (WHERE status = 'completed'), count(*) FILTER (WHERE checked_at IS NOT NULL)
    FROM evalops.eval_runs WHERE partition_key = :window
""")
_DUE = text("SELECT count(*) FROM evalops.outbox WHERE state = 'due'")


def week(site: Site, ledger: Ledger, windows: int, seed: int, minutes: float) -> None:
    """Print what was checked; what is not exactly once counts as missed, and so does an end before the last hour."""
    hours, pasts = plan(windows, seed), list[Past]()
    with ExitStack() as stack:
        to = stack.enter_context(endpoints(CASES))
        write_suites(site.folder / "suites", to)
        engine = make_engine(site.url)
        stack.callback(engine.dispose)
        clock = SharedClock(engine)
        first = window_of(datetime.now(timezone.utc) - (windows + 2) * _HOUR, 1)
        clock.make(first.start - _HOUR / 2)
        own = {**variables(site.url, site.folder, to), **_LOCATION}
        commits = stack.enter_context(held_commits(engine))
        commits.release()
        both = [
            stack.enter_context(full_deployment(site.folder / name, site.url, own, clock.now()))
            for name in ("one", "other")
        ]
        stage = Stage(both, to, engine, Gate(site.url), commits, random.Random(seed))
        ends_at, began = time.monotonic() + 60 * minutes, time.monotonic()
        window = first
        try:
            for hour in hours:
                assert time.monotonic() < ends_at, f"{minutes:g} minutes are over"
                window = window_of(first.start + hour.number * _HOUR, 1)
                pasts.append(_live(stage, clock, hour, window))
                if hour.strike or hour.number % 10 == 9:
                    each = (time.monotonic() - began) / len(pasts)
                    ledger.say(f"hour {hour.number + 1} of {windows}, {each:.1f} s each; {hour.strike or 'no strike'}")
        except KeyboardInterrupt:
            ledger.say("interrupted")
            ledger.missed += 1
        except Exception as problem:  # noqa: BLE001  # whatever it is, the hours before it are told of
            ledger.say(f"! hour {len(pasts) + 1}: {problem!r}"[:3000])
            ledger.missed += 1
        if pasts:
            clock.set(window.end - _HOUR / 6)  # past every lease and pause between two attempts
            with suppress(AssertionError):  # what is still owed then is told of
                awaited(lambda: not _owed(stage), "the last mails", within_s=PATIENCE_S)
            _tell(ledger, read_facts(stage, pasts), windows, time.monotonic() - began)


def _live(stage: Stage, clock: SharedClock, hour: Hour, window: Window) -> Past:
    """One hour, until all runs have ended and the scores have their verdicts."""
    began = time.time()
    if hour.strike:  # a deployment that is still starting would be late, and leave the other without anybody behind it
        for full in stage.both:
            awaited(lambda full=full: full.has_looked(began), f"the sensors of {full.name}", within_s=PATIENCE_S)
    stage.to.behave(hour.fallen, _STRUCK_LATENCY_MS if hour.strike else _LATENCY_MS)
    struck = _begin(stage, clock, hour, window)
    for full in stage.both:
        awaited(full.is_idle, f"the runs of {full.name} in window {window.key} to end", within_s=PATIENCE_S)
    if hour.strike == AFTER:
        struck = strike_sensors(stage)
    awaited(lambda: _is_done(stage, window), f"results and verdicts of window {window.key}", within_s=PATIENCE_S)
    for full in stage.both:
        full.look_at_pages()
    return Past(hour, window, struck, Counter(stage.to.asked()), began, time.time())


def _begin(stage: Stage, clock: SharedClock, hour: Hour, window: Window) -> Struck:
    """The hour begins for both, for one later than for the other or not."""
    punctual, late = stage.both if hour.start.startswith("other") else reversed(stage.both)
    now = window.start + _INTO
    if hour.start == "together":
        clock.set(now)
        what = None if hour.strike == AFTER else hour.strike
        if what is not None and what.startswith("daemon"):
            struck = strike_a_daemon(stage, what, stage.drawn.choice(stage.both), window.start)
        else:
            _await_ticks(window, *stage.both)
            struck = strike(stage, what, window.key) if what is not None else Struck()
        _await_ticks(window, *stage.both)
        return struck
    with late.deployment.delayed():
        clock.set(now)
        _await_ticks(window, punctual)
        if hour.start.endswith("after"):
            awaited(punctual.is_idle, f"the runs of {punctual.name} to end", within_s=PATIENCE_S)
        else:
            stage.holder()
    _await_ticks(window, late)
    return Struck()


def _await_ticks(window: Window, *deployments: Full) -> None:
    for full in deployments:
        what = f"the tick of {full.name} in window {window.key}"
        awaited(lambda full=full: full.ticked(window.start), what, within_s=PATIENCE_S)


def _is_done(stage: Stage, window: Window) -> bool:
    with stage.engine.connect() as connection:
        completed, checked = connection.execute(_DONE, {"window": window.key}).one()
    return completed >= len(FEATURES) and checked >= len(FEATURES)


def _owed(stage: Stage) -> int:
    with stage.engine.connect() as connection:
        return connection.execute(_DUE).scalar_one()


def _tell(ledger: Ledger, facts: Facts, windows: int, took_s: float) -> None:
    rows = [check.row() for check in facts.checks]
    ledger.table(f"{facts.windows} of {windows} windows, {took_s / 60:.0f} minutes", rows)
    ledger.missed += sum(not check.holds for check in facts.checks)
    ledger.missed += facts.windows < windows
    if facts.strikes:
        ledger.table("killed by -9", [{"what": what, "times": times} for what, times in sorted(facts.strikes.items())])
    for finding in facts.findings:
        ledger.say(f"! {finding}")
