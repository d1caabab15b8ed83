"""Processes killed by -9 while an hour's runs go on, and what was stored at that moment.

What belongs here: the moments, the killing, the starting again. What does not: when each is due (week_plan), what is
right afterwards (week_tally).
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import psutil
from sqlalchemy import Engine, text

from benchmarks.soak.features import ORDERS, Call, Endpoints
from benchmarks.soak.site import PATIENCE_S, UNFINISHED, Full
from benchmarks.soak.week_plan import AFTER, Strike
from evalops_core.store.gate import Gate
from tests.acceptance.deployments import HeldCommits, awaited, is_gone

_STORED = text("""
    SELECT 'generate', x.case_id FROM evalops.responses x JOIN evalops.eval_runs r ON r.id = x.eval_run_id
    WHERE r.partition_key = :window
    UNION ALL
    SELECT DISTINCT 'judge', x.case_id FROM evalops.scores x JOIN evalops.eval_runs r ON r.id = x.eval_run_id
    WHERE r.partition_key = :window AND r.feature = :judged
""")


@dataclass
class Struck:
    """What a strike has hit: `runs` are Dagster runs that may end badly; `may_repeat` the calls that were asked and of
    which no result was stored. `what` is None where it could not be done."""

    what: Strike | None = None
    runs: set[str] = field(default_factory=set[str])
    may_repeat: Counter[Call] = field(default_factory=Counter[Call])


@dataclass(frozen=True)
class Stage:
    """The two deployments and everything around them."""

    both: Sequence[Full]
    to: Endpoints
    engine: Engine
    gate: Gate
    commits: HeldCommits
    drawn: random.Random

    def holder(self) -> tuple[Full, str] | None:
        """Whose run has the gate, and its id, once one has it; None where all runs have ended before."""

        def found() -> tuple[Full, str] | Literal["over"] | None:
            holder, idle = self.gate.holder(), self.is_idle()
            for full in self.both:
                if holder is not None and holder.run and full.instance.get_run_by_id(holder.run):
                    return full, holder.run
            return "over" if idle else None

        seen = awaited(found, "a run to take the gate", within_s=PATIENCE_S)
        return None if seen == "over" else seen

    def is_idle(self) -> bool:
        return all(full.is_idle() for full in self.both)

    def stored(self, window: str) -> set[Call]:
        """The calls whose results are in the database."""
        with self.engine.connect() as connection:
            rows = connection.execute(_STORED, {"window": window, "judged": ORDERS}).all()
        return {(str(kind), str(case)) for kind, case in rows}


def strike_a_daemon(stage: Stage, what: Strike, full: Full, at: datetime) -> Struck:
    """Soon after the hour has begun, `at`: as soon as its tick has queued a run, or before that."""
    if what == "daemon amid its tick":
        time.sleep(stage.drawn.uniform(0.0, 1.0))
    else:
        tick = awaited(lambda: full.ticked(at), "the tick", within_s=PATIENCE_S)
        if not tick.run_ids:
            return Struck()
    full.deployment.kill_daemon()
    full.restart()
    return Struck(what)


def strike(stage: Stage, what: Strike, window: str) -> Struck:
    """Kill what is to be killed once the moment has come, and start it again."""
    if what == "worker while committing":
        stage.commits.hold()
    try:
        held = stage.holder()
        if held is None or not _come(stage, what):
            return Struck()
        full, run = held
        if what == "web server while a run goes on":
            full.kill_web_server()
            full.restart()
            return Struck(what)
        if what == "code server alone while answering":
            full.kill_code_server_alone()
            full.restart()
            return Struck(what, {run})
        return _strike_worker(stage, what, window, full, run)
    finally:
        if what == "worker while committing":
            stage.commits.release()


def strike_sensors(stage: Stage) -> Struck:
    """The processes in which sensors tick, at any moment of the seconds after the run."""
    time.sleep(stage.drawn.uniform(0.0, 4.0))
    for full in stage.both:
        full.deployment.kill_daemon()
        full.deployment.kill_code_server()
    for full in stage.both:
        full.restart()
    return Struck(AFTER)


def _strike_worker(stage: Stage, what: Strike, window: str, full: Full, run: str) -> Struck:
    """The other deployment's run stands still until it is known what was stored: it would go on with the rest."""
    other = next(each for each in stage.both if each is not full)
    waiting = [each.run_id for each in other.runs() if each.status in UNFINISHED]
    if not waiting:
        return Struck()
    worker = full.deployment.worker(run)
    with ExitStack() as stack:
        if other.deployment.status(waiting[0]).value != "QUEUED":
            behind = other.deployment.worker(waiting[0])
            behind.suspend()
            stack.callback(behind.resume)
        _kill(what, full, worker)
        awaited(lambda: is_gone(worker), "the worker to be gone", within_s=PATIENCE_S)
        if what == "worker while committing":
            stage.commits.end_those_waiting()
        awaited(lambda: stage.to.in_flight() == 0, "the last call to end", within_s=PATIENCE_S)
        # what the database has received it stores, be its client dead
        awaited(lambda: _is_quiet(stage.engine), "the last statements to end", within_s=PATIENCE_S)
        asked, stored = Counter(stage.to.asked()), stage.stored(window)
    full.restart()
    return Struck(what, {run}, Counter({call: times for call, times in asked.items() if call not in stored}))


def _kill(what: Strike, full: Full, worker: psutil.Process) -> None:
    if what == "worker and code server while answering":
        full.deployment.kill_code_server()
    elif what == "everything of one deployment while judging":
        full.deployment.kill_code_server()
        full.deployment.kill_daemon()
        full.kill_web_server()
    else:
        worker.kill()


def _come(stage: Stage, what: Strike) -> bool:
    """Wait for the moment; whether it has come before all runs have ended."""
    moments: dict[str, Callable[[], bool]] = {
        "answering": lambda: int(stage.to.model.stats()["requests"]) >= stage.to.cases // 3,
        "judging": lambda: int(stage.to.judge.stats()["requests"]) >= stage.to.cases // 3,
        "committing": stage.commits.is_awaited,
        "goes on": lambda: int(stage.to.model.stats()["requests"]) >= 1,
    }
    moment = next(moment for name, moment in moments.items() if what.endswith(name))
    awaited(lambda: moment() or stage.is_idle(), f"the moment of: {what}", within_s=PATIENCE_S)
    return moment() and not stage.is_idle()


def _is_quiet(engine: Engine) -> bool:
    """Whether no session of an eval run is amid a transaction."""
    asks = """
        SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'evalops'
        AND state <> 'idle' AND pid <> pg_backend_pid() AND query ~ '(responses|scores|eval_runs)'
    """
    with engine.connect() as connection:
        return connection.execute(text(asks)).scalar_one() == 0
