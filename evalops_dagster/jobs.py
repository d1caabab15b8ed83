"""One job for each interval that a suite has: features with different windows cannot share a partitioned run.

What belongs here: which assets run together. What does not: when (schedules).
"""

from collections.abc import Iterable, Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from evalops_core.domain.suite import Suite
from evalops_core.setting_types import GateScope
from evalops_dagster.tags import GATE

_STEPS = ("golden_cases", "responses", "judgments", "eval_score", "trend")
_NAMES = {1: "eval_hourly", 24: "eval_daily", 168: "eval_weekly"}


def job_name(interval_hours: int) -> str:
    return _NAMES.get(interval_hours, f"eval_every_{interval_hours}_hours")


def eval_jobs(
    suites: Iterable[Suite],
    trend: dg.AssetKey,
    reported: Sequence[dg.AssetChecksDefinition] = (),
    gate_scope: GateScope = "all",
) -> Sequence[UnresolvedAssetJobDefinition]:
    """Each job evaluates all features of its interval and refreshes the trend; select assets to launch it for some.

    `reported` are checks that are left out of it. With the gate's scope `feature` its runs may overlap.
    """
    features: dict[int, list[str]] = {}
    for suite in suites:
        features.setdefault(suite.interval_hours, []).append(suite.feature)
    return [
        dg.define_asset_job(
            job_name(hours),
            # Without the checks that sensors report: within the run they could only repeat the verdict before.
            selection=dg.AssetSelection.assets(*(dg.AssetKey([name, step]) for name in names for step in _STEPS), trend)
            - dg.AssetSelection.checks(*reported),
            description=f"Evaluates {', '.join(names)} for a window of {hours} h.",
            executor_def=dg.in_process_executor,
            tags={GATE: "eval"} if gate_scope == "all" else {},
        )
        for hours, names in sorted(features.items())
    ]
