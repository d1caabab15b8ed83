"""One eval run inside this process: `python -m benchmarks --cases N --latency-ms L --in-flight C [--profile FILE]`.

What belongs here: time, CPU and memory of `evaluate` alone, without any start, and where the CPU goes. What does not:
whole processes (compare).
"""

import asyncio
import cProfile
import importlib
import os
import resource
import time
from pathlib import Path

from benchmarks.bench_site import Site
from benchmarks.work import Work
from evalops_core.run.evaluate import evaluate
from evalops_core.run.progress import silent
from evalops_core.store.engine import make_engine
from evalops_core.store.schema import ensure_current
from evalops_core.suites.loader import load_suite
from evalops_core.wiring import workshop_over


def measure(site: Site, work: Work, profile: Path | None = None) -> str:
    """The figures in a line. With `profile` cProfile's figures go there, and the times here are none to quote."""
    suite = load_suite(site.prepare(work).parent)
    engine = make_engine(site.url)
    ensure_current(engine)  # with which a process begins; it connects
    workshop = workshop_over(engine, site.settings(work))
    plan = workshop.plan(suite, run_type="manual")
    importlib.import_module("evalops_core.wiring.connections")  # which a run would import: no start is measured here
    profiler = cProfile.Profile() if profile else None
    before, began = os.times(), time.perf_counter()
    if profiler:
        profiler.enable()
    run = asyncio.run(evaluate(plan, workshop.tools, silent))
    if profiler and profile:
        profiler.disable()
        profiler.dump_stats(profile)
    wall, after = time.perf_counter() - began, os.times()
    engine.dispose()
    cpu = after.user - before.user + after.system - before.system
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"{work.cases} cases, {work.latency_ms:g} ms, {work.in_flight} in flight: {wall:.2f} s = "
        f"{wall / work.ideal_s:.2f} × ideal, {1000 * cpu / work.cases:.2f} ms CPU a case, peak {peak:.0f} MB, "
        f"{run.n} scored, mean {run.score}"
    )
