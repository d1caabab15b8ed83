"""The project's code location with a reaper that waits seconds instead of a minute, for tests that wait for it."""

from datetime import timedelta

import dagster as dg

from evalops_core.settings import load_settings
from evalops_core.wiring import installed_since, read_suites
from evalops_dagster.definitions import build_definitions
from evalops_dagster.sensors import gate_reaper


@dg.definitions
def defs() -> dg.Definitions:
    settings = load_settings()
    return build_definitions(
        suites=read_suites(settings).usable,
        since=installed_since(settings),
        reaper=gate_reaper(grace=timedelta(seconds=5), every_s=1),
    )
