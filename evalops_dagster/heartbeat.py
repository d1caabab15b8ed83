"""The heartbeat: a sensor that tells somebody outside after each good scheduled cycle.

What belongs here: the sensor, as Dagster shows it. What does not: what a tick does (heartbeat_ticks), what is good
(`evalops_core.run.heartbeat`).
"""

from collections.abc import Collection
from typing import TYPE_CHECKING

import dagster as dg

from evalops_core.settings import load_settings

if TYPE_CHECKING:
    from evalops_core.wiring import Workshop


def heartbeat_sensor(
    features: Collection[str], broken: Collection[str], given: "Workshop | None" = None, every_s: int = 30
) -> dg.SensorDefinition:
    """On by default: without an address it does nothing. `broken` are features whose suite cannot be read, `given`
    takes the place of the workshop that each tick opens."""

    @dg.sensor(
        name="heartbeat_sensor",
        minimum_interval_seconds=every_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Asks EVALOPS_HEARTBEAT_URL after each good scheduled cycle, for a dead-man's switch that fires "
        "when cycles stop or fail. A score that fell is no failure. Costs nothing.",
    )
    def heartbeat_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        settings = load_settings()
        if settings.heartbeat_url is None:  # before anything is opened
            return dg.SkipReason("no EVALOPS_HEARTBEAT_URL")
        from evalops_dagster.heartbeat_ticks import ping

        return ping(context, features, broken, given)

    return heartbeat_sensor
