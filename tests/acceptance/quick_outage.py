"""The project's code location for a test in which the database goes away: nobody in it waits longer than seconds.

What belongs here: seconds in the place of minutes, in the reaper, the alerts, and Dagster's own tries to reach its
storage, after which the worker of a run gives up. What does not: what any of them does.
"""

from datetime import timedelta
from functools import partial

import dagster as dg
from dagster_postgres import utils

from evalops_core.run.deliver import deliver
from evalops_core.settings import load_settings
from evalops_core.wiring import installed_since, read_suites
from evalops_dagster.definitions import build_definitions
from evalops_dagster.sensors import gate_reaper
from tests.acceptance.quick_alerts import LEASE, soon

MODULE = "tests.acceptance.quick_outage"

utils.retry_pg_connection_fn.__defaults__ = (1, 0.2)  # the first tells how often, in the place of 5 times in 12 s


@dg.definitions
def defs() -> dg.Definitions:
    settings = load_settings()
    return build_definitions(
        suites=read_suites(settings).usable,
        since=installed_since(settings),
        reaper=gate_reaper(grace=timedelta(seconds=5), every_s=1),
        sensors_every_s=1,
        hand_over=partial(deliver, lease=LEASE, jitter=soon),
    )
