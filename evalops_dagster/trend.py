"""The trends: `<feature>/trend` at the end of each feature's chain, and `eval_trend` over all of them.

What belongs here: the assets, and how they are brought up to date once a verdict is there. What does not: what their
pages show (trend_metadata), rows and drawing (`evalops_core.trend`).

A scheduled run refreshes them as its last steps. Its score is judged after it has ended, so `regression_sensor` reports
them once more with the verdict; without a run, for all that they show is in the database already.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import dagster as dg

from evalops_core.domain.suite import Suite
from evalops_core.trend.frame import trend_frame
from evalops_core.trend.history import read_newest
from evalops_core.wiring import Workshop
from evalops_dagster.trend_metadata import column_schema, of_all, of_one

if TYPE_CHECKING:
    import pandas as pd

TREND = dg.AssetKey("eval_trend")
STEP = "trend"
RUNS = 100  # of each feature: what a page is made of, however long the history is
_FRAMES = "trend_frames"
_ONLY = "Scheduled, completed runs only: what people launch by hand never enters."


def trend_assets(suites: Mapping[str, Suite]) -> Sequence[dg.AssetsDefinition]:
    """One for each feature, in its group, and one for all; none is partitioned, for they show history."""
    return [*(_feature_trend(suite) for suite in suites.values()), _eval_trend(suites)]


def refreshed(
    workshop: Workshop, suites: Mapping[str, Suite], features: Iterable[str]
) -> list[dg.AssetMaterialization]:
    """What the trends of `features`, and the one of all, show now; nothing where no feature is named."""
    named = sorted(set(features))
    if not named:
        return []
    rows = read_newest(workshop.engine, RUNS)
    drops = _drops(suites)
    shown = {trend_key(name): of_one([row for row in rows if row.feature == name], drops[name]) for name in named}
    shown[TREND] = of_all(rows, drops)
    return [dg.AssetMaterialization(asset_key=key, metadata=metadata) for key, metadata in shown.items()]


def trend_key(feature: str) -> dg.AssetKey:
    return dg.AssetKey([feature, STEP])


@dg.io_manager(
    required_resource_keys={"evalops"},
    description="Hands eval_trend on as a pandas frame, read from the database when it is asked for; stores nothing.",
)
def trend_frames() -> dg.IOManager:
    return _TrendFrames()


class _TrendFrames(dg.IOManager):
    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """The rows are in the database already."""

    def load_input(self, context: dg.InputContext) -> "pd.DataFrame":
        workshop: Workshop = context.resources.evalops
        return trend_frame(read_newest(workshop.engine, RUNS))


def _feature_trend(suite: Suite) -> dg.AssetsDefinition:
    feature = suite.feature

    @dg.asset(
        key=trend_key(feature),
        group_name=feature,
        deps=[dg.AssetKey([feature, "eval_score"])],
        kinds={"postgres"},
        tags={"evalops/feature": feature},
        description=f"The scores of {feature} over time. {_ONLY}",
    )
    def trend(evalops: dg.ResourceParam[Workshop]) -> dg.MaterializeResult:
        rows = read_newest(evalops.engine, RUNS, [feature])
        return dg.MaterializeResult(metadata=of_one(rows, suite.regression.drop))

    return trend


def _eval_trend(suites: Mapping[str, Suite]) -> dg.AssetsDefinition:
    @dg.asset(
        key=TREND,
        group_name="trend",
        deps=[dg.AssetKey([feature, "eval_score"]) for feature in suites],
        kinds={"pandas", "postgres"},
        io_manager_key=_FRAMES,
        metadata={"dagster/column_schema": column_schema()},
        description=f"The scores of all features over time, as a pandas frame of the {RUNS} newest runs of each, the "
        f"newest first. {_ONLY} In the database it is the view evalops.eval_trend.",
    )
    def eval_trend(evalops: dg.ResourceParam[Workshop]) -> dg.MaterializeResult:
        rows = read_newest(evalops.engine, RUNS)
        return dg.MaterializeResult(value=trend_frame(rows), metadata=of_all(rows, _drops(suites)))

    return eval_trend


def _drops(suites: Mapping[str, Suite]) -> dict[str, Decimal]:
    return {feature: suite.regression.drop for feature, suite in suites.items()}
