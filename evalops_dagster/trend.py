"""The trends: `<feature>/trend` at the end of each feature's chain, and `eval_trend` over all of them.

What belongs here: the assets, and how they are brought up to date once a verdict is there. What does not: what their
pages show (trend_metadata), rows and drawing (`evalops_core.trend`).

A scheduled run refreshes them as its last steps. Its score is judged after it has ended, so `regression_sensor` reports
them once more with the verdict; without a run, for all that they show is in the database already.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from evalops_core.domain.suite import Suite
from evalops_core.trend.frame import COLUMNS, dtype_of

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
        from evalops_dagster.trend_pages import frame

        return frame(context.resources.evalops)


def _feature_trend(suite: Suite) -> dg.AssetsDefinition:
    feature = suite.feature

    @dg.asset(
        key=trend_key(feature),
        group_name=feature,
        deps=[dg.AssetKey([feature, "eval_score"])],
        kinds={"postgres"},
        required_resource_keys={"evalops"},
        tags={"evalops/feature": feature},
        description=f"The scores of {feature} over time. {_ONLY}",
    )
    def trend(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from evalops_dagster.trend_pages import page_of_one

        return page_of_one(context.resources.evalops, suite)

    return trend


def _eval_trend(suites: Mapping[str, Suite]) -> dg.AssetsDefinition:
    @dg.asset(
        key=TREND,
        group_name="trend",
        deps=[dg.AssetKey([feature, "eval_score"]) for feature in suites],
        kinds={"pandas", "postgres"},
        required_resource_keys={"evalops"},
        io_manager_key=_FRAMES,
        metadata={"dagster/column_schema": _column_schema()},
        description=f"The scores of all features over time, as a pandas frame of the {RUNS} newest runs of each, the "
        f"newest first. {_ONLY} In the database it is the view evalops.eval_trend.",
    )
    def eval_trend(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from evalops_dagster.trend_pages import page_of_all

        return page_of_all(context.resources.evalops, suites)

    return eval_trend


def _column_schema() -> dg.TableSchema:
    """The frame's columns with their types and units."""
    return dg.TableSchema([dg.TableColumn(name, dtype_of(name), words) for name, words in COLUMNS.items()])
