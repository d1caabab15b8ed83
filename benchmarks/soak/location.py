"""A code location and its daemon by a clock that the measurement sets: `-m` of a code server, and `-w` of a daemon.

What belongs here: that clock, sensors that look as often, and a reaper that waits as long, as the measurement wants,
and the CPU time of ticks. What does not: what happens when. Unlike the tests' location of the same kind, each tick and
each run opens the store for itself, as the project's own does: connections that are left open would show.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._daemon import sensor as sensor_daemon

from evalops_core.settings import load_settings
from evalops_core.wiring import installed_since, read_suites
from evalops_dagster.definitions import build_definitions
from evalops_dagster.sensors import gate_reaper

MODULE = "benchmarks.soak.location"
TICKS = "ticks.jsonl"  # in DAGSTER_HOME: a line for each tick of a sensor
# Variables of the environment, in seconds.
SENSORS_EVERY_S, REAPER_GRACE_S = "SOAK_SENSORS_EVERY_S", "SOAK_REAPER_GRACE_S"
_LOOK_EVERY_S = 0.5


@dg.definitions
def defs() -> dg.Definitions:
    """The features of EVALOPS_SUITES, by the clock."""
    _tell_the_time()
    _note_ticks()
    settings, every_s = load_settings(), int(os.environ[SENSORS_EVERY_S])
    grace = timedelta(seconds=int(os.environ[REAPER_GRACE_S]))
    return build_definitions(
        suites=read_suites(settings).usable,
        since=installed_since(settings),
        reaper=gate_reaper(grace=grace, every_s=every_s),
        sensors_every_s=every_s,
    )


def _tell_the_time() -> None:
    """Every workshop that this process opens is told the clock's time."""
    from dataclasses import replace

    from tests.acceptance.clocked import SharedClock

    wiring = import_module("evalops_core.wiring.workshop")
    usual: Callable[..., Any] = wiring.workshop_over

    def by_the_clock(engine: Any, *given: Any, **named: Any) -> Any:
        workshop = usual(engine, *given, **named)
        return replace(workshop, tools=replace(workshop.tools, now=SharedClock(engine).now))

    vars(wiring)["workshop_over"] = by_the_clock


def _note_ticks() -> None:
    """Of each evaluation of a sensor: which, when it ended, whether it had anything to report, and wall and CPU time of
    its thread, in seconds."""
    server = import_module("dagster._grpc.server")
    usual: Callable[..., Any] = server.get_external_sensor_execution
    file = Path(os.environ["DAGSTER_HOME"]) / TICKS

    def noted(repository: Any, origin: Any, instance: Any, name: str, *given: Any, **named: Any) -> Any:
        wall, cpu = time.perf_counter(), time.thread_time()
        found = usual(repository, origin, instance, name, *given, **named)
        taken = {"wall_s": time.perf_counter() - wall, "cpu_s": time.thread_time() - cpu}
        news = bool(getattr(found, "asset_events", ()))
        with file.open("a") as lines:
            lines.write(json.dumps({"sensor": name, "at": time.time(), "news": news, **taken}) + "\n")
        return found

    vars(server)["get_external_sensor_execution"] = noted


if __name__ == "__main__":
    from tests.acceptance.clocked import run_daemons

    sensor_daemon.MIN_INTERVAL_LOOP_TIME = _LOOK_EVERY_S
    run_daemons(sys.argv[sys.argv.index("-w") + 1])
