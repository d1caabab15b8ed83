"""What watches over scores: sensors for verdicts on what is new, for what does not come, and for the mails they owe.

What belongs here: the sensors, as Dagster shows them. What does not: what their ticks do (alert_ticks). All of it is
right without a cursor; a cursor only spares Dagster what it was told already.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from evalops_core.domain.suite import Suite

if TYPE_CHECKING:
    from evalops_core.run.deliver import Delivery
    from evalops_core.wiring import Workshop


def alert_sensors(
    suites: Mapping[str, Suite],
    jobs: Sequence[UnresolvedAssetJobDefinition],
    given: "Workshop | None" = None,
    every_s: int = 15,
    hand_over: "Callable[..., Delivery] | None" = None,
) -> Sequence[dg.SensorDefinition]:
    """All on by default, for they cost nothing. `given` takes the place of the workshop that each tick opens, and
    `hand_over` that of `run.deliver.deliver`."""

    @dg.sensor(
        name="regression_sensor",
        jobs=jobs,
        minimum_interval_seconds=every_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Compares each new scheduled score with its baseline; reports the check no_regression and the "
        "trends, opens and resolves incidents, and puts their mails into the outbox. Where a fall might be chance, and "
        "schedules are enabled, it has that one feature evaluated once more before anybody is told.",
    )
    def regression_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        from evalops_dagster.alert_ticks import judge_new_scores

        return judge_new_scores(context, suites, given)

    @dg.sensor(
        name="alert_delivery_sensor",
        minimum_interval_seconds=every_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Sends the mails of the outbox that are due. Without a key for Resend it sends nothing.",
    )
    def alert_delivery_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        from evalops_dagster.alert_ticks import deliver_mails

        return deliver_mails(context, suites, given, hand_over)

    @dg.sensor(
        name="incident_watch_sensor",
        minimum_interval_seconds=4 * every_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Opens an incident where a schedule is on and no valid score has come for 1.5 intervals; ends "
        "silences that are over; reminds of open incidents where a suite wants it. Costs nothing.",
    )
    def incident_watch_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        from evalops_dagster.alert_ticks import watch_incidents

        return watch_incidents(context, suites, given)

    return [regression_sensor, alert_delivery_sensor, incident_watch_sensor]
