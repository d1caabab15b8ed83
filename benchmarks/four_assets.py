"""A Dagster run of the shape of ours that does nothing: `DAGSTER_HOME=… python -m benchmarks.four_assets`.

What belongs here: four assets in a row, a check, a window as partition, one process, the same instance. What does not:
any work; what `evalops run` takes beyond this is ours.
"""

from datetime import datetime, timedelta, timezone

import dagster as dg

# Dagster's own annotations leave type parameters of its results and functions unknown.
# pyright: reportMissingTypeArgument=false, reportUnknownParameterType=false, reportUnknownMemberType=false

_WINDOWED = dg.DailyPartitionsDefinition(datetime.now(timezone.utc) - timedelta(days=1), end_offset=1)


@dg.asset(group_name="trivial")
def golden_cases() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"cases": 0})


@dg.asset(group_name="trivial", deps=[golden_cases], partitions_def=_WINDOWED)
def responses() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"calls": 0})


@dg.asset(group_name="trivial", deps=[responses], partitions_def=_WINDOWED)
def judgments() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"calls": 0})


@dg.asset(
    group_name="trivial",
    deps=[judgments],
    partitions_def=_WINDOWED,
    check_specs=[dg.AssetCheckSpec("coverage", asset="eval_score")],
)
def eval_score() -> dg.MaterializeResult:
    return dg.MaterializeResult(
        metadata={"score": 3.0}, check_results=[dg.AssetCheckResult(check_name="coverage", passed=True)]
    )


trivial_job = dg.define_asset_job(
    "trivial", selection=dg.AssetSelection.groups("trivial"), executor_def=dg.in_process_executor
)
defs = dg.Definitions(assets=[golden_cases, responses, judgments, eval_score], jobs=[trivial_job])


def main() -> None:
    """One run, recorded like any other."""
    with dg.DagsterInstance.get() as instance:
        done = defs.resolve_job_def("trivial").execute_in_process(
            instance=instance,
            partition_key=_WINDOWED.get_last_partition_key(),
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    print("RESULT", done.success)


if __name__ == "__main__":
    main()
