"""Drift of a feature's inputs: `<feature>/input_centroid` and `<feature>/input_drift`, a partition a UTC day.

What belongs here: the assets and their check, as Dagster shows them before anything runs. What does not: what their
steps do (drift_steps), when they run (drift_schedule).
"""

import warnings
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from evalops_core.domain.suite import DriftSpec, Suite
from evalops_dagster.pool import DRIFT_POOL

TRACES = dg.AssetKey("llm_traces")
STEPS = CENTROID, DRIFT = "input_centroid", "input_drift"
NO_INPUT_DRIFT = "no_input_drift"
JOB = "input_drift"
GROUP = "inputs"
_BEFORE = timedelta(days=90)
"""Traces from before the installation may be imported, so that there is a baseline at once."""


def drift_key(feature: str, step: str = DRIFT) -> dg.AssetKey:
    return dg.AssetKey([feature, step])


def day_partitions(since: datetime) -> dg.DailyPartitionsDefinition:
    """The days that are over, from 90 days before `since` on: a centroid of a day that goes on would not be its."""
    return dg.DailyPartitionsDefinition(start_date=f"{since - _BEFORE:%Y-%m-%d}", timezone="UTC")


def traces_asset() -> dg.AssetSpec:
    """What production asked, which EvalOps does not make itself."""
    return dg.AssetSpec(
        TRACES,
        group_name=GROUP,
        kinds={"postgres"},
        description="Calls of models in production: `evalops traces import`, the Python writer, or plain SQL into "
        "evalops.llm_traces.",
    )


def drift_assets(suite: Suite, since: datetime) -> Sequence[dg.AssetsDefinition]:
    """The two assets of a feature."""
    feature, spec = suite.feature, suite.drift
    common: dict[str, Any] = {
        "key_prefix": feature,
        "group_name": GROUP,  # not the feature's: its windows are others, and "Materialize all" takes one kind
        "tags": {"evalops/feature": feature},
        "partitions_def": day_partitions(since),
        "pool": DRIFT_POOL,
        "required_resource_keys": {"evalops", "drift_gate"},
    }

    @dg.asset(
        **common,
        name=CENTROID,
        deps=[TRACES],
        kinds={"postgres"},
        description=f"What users asked of {feature} on one day, as one direction: the mean embedding of the "
        f"{spec.message} user messages of its newest {spec.max_sample} traces. Made once a day and model.",
    )
    def input_centroid(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from evalops_dagster.drift_steps import materialize_centroid

        return materialize_centroid(context, suite)

    @dg.asset(
        **common,
        name=DRIFT,
        deps=[input_centroid],
        kinds={"postgres"},
        description=f"How far the day's inputs are from those of the last {spec.baseline_window} good days: the cosine "
        f"drift and its threshold, {threshold_in_words(spec)}.",
        check_specs=[_check(suite, common["partitions_def"])],
    )
    def input_drift(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from evalops_dagster.drift_steps import materialize_drift

        return materialize_drift(context, suite)

    return cast("list[dg.AssetsDefinition]", [input_centroid, input_drift])  # the overloads get lost in mappings


def _check(suite: Suite, days: dg.PartitionsDefinition) -> dg.AssetCheckSpec:
    with warnings.catch_warnings():
        # A check of a partition is a preview of Dagster's. It comes with the day's own run, as any inline check does;
        # without `partitions_def` it would be the same but for the day beside it in the UI.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(
            NO_INPUT_DRIFT,
            asset=drift_key(suite.feature),
            partitions_def=days,
            description=f"What users ask is as before: no {suite.drift.consecutive_days} days in a row above the "
            "threshold. Fewer are a warning.",
        )


def threshold_in_words(spec: DriftSpec) -> str:
    if spec.threshold is not None:
        return f"{spec.threshold:g}"
    return f"learned from the feature's own traffic so that chance exceeds it on {spec.alpha:.1%} of days"


def drift_jobs(suites: Collection[Suite]) -> Sequence[UnresolvedAssetJobDefinition]:
    """One, of both assets of every feature for a day, if there is any; the schedule launches it for one at a time."""
    keys = [drift_key(suite.feature, step) for suite in suites for step in STEPS]
    job = dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.assets(*keys),
        description="Samples a day's traces of each feature, and compares them with the days before.",
        executor_def=dg.in_process_executor,
    )
    return [job] if keys else []
