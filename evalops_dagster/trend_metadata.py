"""What Dagster shows of a trend: pictures, numbers that it plots, tables.

What belongs here: choosing and formatting for its pages. What does not: rows and drawing (`evalops_core.trend`), the
assets (trend).
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import dagster as dg

from evalops_core.trend.figure import figure
from evalops_core.trend.history import TrendRow
from evalops_core.trend.series import series_if_any
from evalops_core.trend.thumbnail import image, thumbnail
from evalops_dagster.metadata import present, table

NO_DATA = "No scheduled run has been completed yet; runs by hand do not enter the trend."
_TABLE_ROWS = 20
_DRAWN = 60  # runs in the picture that opens at a click


def of_one(rows: Sequence[TrendRow], drop: Decimal | None) -> dict[str, Any]:
    """One feature's page; `rows` are its newest, newest first, `drop` its suite's."""
    drawn = series_if_any(rows[:_DRAWN], drop)
    if drawn is None:
        return {"dagster/row_count": len(rows), "note": NO_DATA}
    newest = rows[0]
    return present(
        {
            "trend": dg.MetadataValue.md(thumbnail(drawn)),
            "larger picture": dg.MetadataValue.md(image("the last runs", figure(drawn))),
            "last window": newest.partition_key,
            "verdict": newest.verdict and newest.verdict.replace("_", " "),
            "incident": None if newest.incident_id is None else f"{newest.incident_id} is open",
            "score": _float(newest.score),
            "delta": _float(newest.delta),
            "mean of 7 runs": _float(newest.mean_7),
            "95 % interval, low": _float(newest.ci_low),
            "95 % interval, high": _float(newest.ci_high),
            "reference": _float(newest.reference),
            "scored cases": newest.n,
            "coverage": newest.coverage,
            "cost (USD)": _float(newest.cost_usd),
            f"last {_TABLE_ROWS} runs": table([_shown(row) for row in rows[:_TABLE_ROWS]]),
            "dagster/row_count": len(rows),
        }
    )


def of_all(rows: Sequence[TrendRow], drops: Mapping[str, Decimal]) -> dict[str, Any]:
    """The page of all features: a picture of each, what is open first; `rows` in any order of features, each one's
    newest first, `drops` by feature for those that have a suite."""
    if not rows:
        return {"dagster/row_count": 0, "note": NO_DATA}
    by_feature: dict[str, list[TrendRow]] = {}
    for row in rows:
        by_feature.setdefault(row.feature, []).append(row)
    worst_first = sorted(by_feature, key=lambda feature: _urgency(by_feature[feature][0]))
    pictures: dict[str, Any] = {}
    for feature in worst_first:
        drawn = series_if_any(by_feature[feature][:_DRAWN], drops.get(feature))
        if drawn is not None:
            gone = "" if feature in drops else " (no suite any more)"
            pictures[f"{feature}{gone}"] = dg.MetadataValue.md(thumbnail(drawn))
    scores = {f"score {feature}": _float(by_feature[feature][0].score) for feature in sorted(by_feature)}
    newest = sorted(rows, key=lambda row: (row.window_start, row.eval_run_id), reverse=True)[:_TABLE_ROWS]
    return {
        **pictures,
        f"last {_TABLE_ROWS} runs": table([{"feature": row.feature, **_shown(row)} for row in newest]),
        **present(scores),
        "dagster/row_count": len(rows),
    }


def _urgency(newest: TrendRow) -> tuple[bool, bool, str]:
    return newest.incident_id is None, newest.verdict != "regressed", newest.feature


def _shown(row: TrendRow) -> dict[str, str | int]:
    """What is asked for first stands left: a wide table is cut at the right."""
    return {
        "window": row.partition_key,
        "score": _words(row.score, ".3f"),
        "delta": _words(row.delta, "+.3f"),
        "verdict": (row.verdict or "").replace("_", " "),
        "95 % interval": "" if row.ci_low is None or row.ci_high is None else f"{row.ci_low:.2f}–{row.ci_high:.2f}",
        "reference": _words(row.reference, ".3f"),
        "mean of 7": _words(row.mean_7, ".3f"),
        "changed": row.changed or "",
        "scored": f"{row.n or 0}/{(row.n or 0) + (row.n_unscored or 0)}",
        "cost (USD)": _words(row.cost_usd, ".4f"),
        "model": row.model_id or "",
        "judge": row.judge_model_id or "rules, similarity",
        "git sha": row.git_sha or "",
        "eval run": str(row.eval_run_id),
    }


def _words(value: Decimal | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
