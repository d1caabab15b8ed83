"""The project's code location with alerts that do not take their time.

What belongs here: seconds in the place of minutes, for tests that wait for mails. What does not: what is sent, to whom
and how often, which is the project's.
"""

from datetime import timedelta
from functools import partial

import dagster as dg

from evalops_core.run.deliver import deliver
from evalops_core.settings import load_settings
from evalops_core.wiring import installed_since, read_suites
from evalops_dagster.definitions import build_definitions

MODULE = "tests.acceptance.quick_alerts"
LEASE = timedelta(seconds=3)


def soon(_least: float, _most: float) -> float:
    return 1.0


@dg.definitions
def defs() -> dg.Definitions:
    settings = load_settings()
    return build_definitions(
        suites=read_suites(settings).usable,
        since=installed_since(settings),
        sensors_every_s=1,
        hand_over=partial(deliver, lease=LEASE, jitter=soon),
    )
