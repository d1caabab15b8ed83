"""`eval_trend`, downstream of every feature's score: the last scheduled runs, for people to look at.

What belongs here: the asset and what it shows. What does not: rows and columns (`evalops_core.trend`).
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from evalops_core.trend.frame import COLUMNS, trend_frame
from evalops_core.trend.history import TrendRow, read_trend
from evalops_core.wiring import Workshop
from evalops_dagster.metadata import table

TREND = dg.AssetKey("eval_trend")
_ROWS = 20


def trend_asset(features: Sequence[str]) -> dg.AssetsDefinition:
    """One asset for all features, not partitioned: it shows history, whatever window was evaluated last."""

    @dg.asset(
        key=TREND,
        group_name="trend",
        deps=[dg.AssetKey([feature, "eval_score"]) for feature in features],
        kinds={"pandas", "postgres"},
        description="Scores over time. Scheduled, completed runs only: what people launch by hand never enters.",
    )
    def eval_trend(evalops: dg.ResourceParam[Workshop]) -> dg.MaterializeResult:
        rows = read_trend(evalops.engine, limit=200)
        frame = trend_frame(rows)
        columns = [dg.TableColumn(name, str(frame[name].dtype), words) for name, words in COLUMNS.items()]
        metadata: dict[str, Any] = {
            "dagster/row_count": len(frame),
            "dagster/column_schema": dg.TableSchema(columns),
        }
        if not rows:
            metadata["note"] = "No scheduled run has been completed yet; runs by hand do not enter the trend."
        else:
            newest = {row.feature: row for row in reversed(rows)}
            metadata |= {f"score {row.feature}": float(row.score) for row in newest.values() if row.score is not None}
            metadata["last runs"] = table([_shown(row) for row in rows[:_ROWS]])
        return dg.MaterializeResult(metadata=metadata)

    return eval_trend


def _shown(row: TrendRow) -> dict[str, str | int]:
    return {
        "feature": row.feature,
        "window": row.partition_key,
        "score": "" if row.score is None else str(row.score),
        "delta": "" if row.delta is None else f"{row.delta:+.3f}",
        "95 % interval": "" if row.ci_low is None or row.ci_high is None else f"{row.ci_low:.2f} … {row.ci_high:.2f}",
        "scored": row.n or 0,
        "unscored": row.n_unscored or 0,
        "model": row.model_id or "",
        "judge": row.judge_model_id or "rules, similarity",
    }
