"""The code location: what Dagster loads.

What belongs here: putting the parts together. What does not: the parts.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import dagster as dg

from evalops_core.domain.suite import Suite
from evalops_core.setting_types import GateScope
from evalops_core.settings import load_settings
from evalops_core.wiring import installed_since, read_suites
from evalops_dagster.alert_sensors import alert_sensors
from evalops_dagster.checks import delivery_check, regression_check
from evalops_dagster.drift import drift_assets, drift_jobs, traces_asset
from evalops_dagster.drift_schedule import drift_schedules
from evalops_dagster.features import broken_feature, feature_assets
from evalops_dagster.heartbeat import heartbeat_sensor
from evalops_dagster.jobs import eval_jobs
from evalops_dagster.resources import drift_gate_resource, gate_resource, workshop_resource
from evalops_dagster.retention import purge_traces, retention_schedule
from evalops_dagster.schedules import eval_schedules
from evalops_dagster.sensors import gate_reaper
from evalops_dagster.trend import TREND, trend_assets, trend_frames

if TYPE_CHECKING:
    from evalops_core.run.deliver import Delivery
    from evalops_core.wiring import Workshop


def build_definitions(
    *,
    suites: Mapping[str, Suite],
    since: datetime,
    broken: Mapping[str, str] | None = None,
    workshop: "Workshop | None" = None,
    reaper: dg.SensorDefinition | None = None,
    sensors_every_s: int = 15,
    hand_over: "Callable[..., Delivery] | None" = None,
    gate_scope: GateScope = "all",
) -> dg.Definitions:
    """Everything for `suites`, whose windows start with the one that holds `since`.

    `broken` maps features whose suite cannot be used to the reason. `workshop` takes the place of the one that each
    Dagster run and each tick opens for itself, `reaper` that of the sensor with the usual patience; `sensors_every_s`
    is how often the sensors of scores and mails look, and `hand_over` takes the place of `run.deliver.deliver`.
    `gate_scope` is that of the settings: it says which pool each feature's runs queue for.
    """
    chains = [asset for suite in suites.values() for asset in feature_assets(suite, since, gate_scope)]
    drift = [asset for suite in suites.values() for asset in drift_assets(suite, since)]
    checks = [*(regression_check(feature) for feature in suites), delivery_check(TREND)]
    jobs = eval_jobs(suites.values(), TREND, checks, gate_scope)
    return dg.Definitions(
        assets=[
            *chains,
            traces_asset(),
            *drift,
            *trend_assets(suites),
            *(broken_feature(feature, problem) for feature, problem in (broken or {}).items()),
        ],
        asset_checks=checks,
        jobs=[*jobs, *drift_jobs(suites.values()), purge_traces],
        schedules=[
            *eval_schedules(suites.values(), jobs, workshop),
            *drift_schedules(suites, workshop),
            retention_schedule(workshop),
        ],
        sensors=[
            reaper or gate_reaper(),
            *alert_sensors(suites, jobs, workshop, sensors_every_s, hand_over),
            heartbeat_sensor(list(suites), list(broken or ()), workshop, 2 * sensors_every_s),
        ],
        resources={
            "evalops": workshop_resource if workshop is None else dg.ResourceDefinition.hardcoded_resource(workshop),
            "gate": gate_resource(suites),
            "drift_gate": drift_gate_resource,
            "trend_frames": trend_frames,
        },
        # One process an eval run: the calls are async I/O, and the lock belongs to the process.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The features of EVALOPS_SUITES, against the database of the settings."""
    settings = load_settings()
    if settings.log_format == "json":
        from evalops_dagster.json_lines import write_json_lines

        write_json_lines()
    suites = read_suites(settings)
    since = installed_since(settings)  # asked in any case: a code location that loads has the schema that it needs
    return build_definitions(
        suites=suites.usable,
        broken=suites.broken,
        since=settings.windows_since or since,
        gate_scope=settings.gate_scope,
    )
