"""What the trends' assets show now, and the frame that eval_trend hands on.

What belongs here: reading the rows for a page. What does not: what the pages show (trend_metadata), rows and drawing
(`evalops_core.trend`), the assets (trend). Imported when one of them is asked for.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

import dagster as dg

from evalops_core.domain.suite import Suite
from evalops_core.trend.frame import trend_frame
from evalops_core.trend.history import read_newest
from evalops_core.wiring import Workshop
from evalops_dagster.trend import RUNS, TREND, trend_key
from evalops_dagster.trend_metadata import of_all, of_one

if TYPE_CHECKING:
    import pandas as pd


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


def frame(workshop: Workshop) -> "pd.DataFrame":
    """The newest runs of each feature."""
    return trend_frame(read_newest(workshop.engine, RUNS))


def page_of_one(workshop: Workshop, suite: Suite) -> dg.MaterializeResult:
    """`<feature>/trend`."""
    rows = read_newest(workshop.engine, RUNS, [suite.feature])
    return dg.MaterializeResult(metadata=of_one(rows, suite.regression.drop))


def page_of_all(workshop: Workshop, suites: Mapping[str, Suite]) -> dg.MaterializeResult:
    """`eval_trend`, with its frame."""
    rows = read_newest(workshop.engine, RUNS)
    return dg.MaterializeResult(value=trend_frame(rows), metadata=of_all(rows, _drops(suites)))


def _drops(suites: Mapping[str, Suite]) -> dict[str, Decimal]:
    return {feature: suite.regression.drop for feature, suite in suites.items()}
