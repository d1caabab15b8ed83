"""What Dagster shows of a day of drift.

What belongs here: choosing and formatting for its pages. What does not: drift itself (`run.drift`), drawing
(`evalops_core.trend`). No vector is ever shown, and a prompt's text only where it is handed in.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from evalops_core.domain.drift.day import DriftDay
from evalops_core.run.drift.sample import Sampled
from evalops_core.trend.drift_figure import drift_figure
from evalops_core.trend.drift_thumbnail import drift_thumbnail
from evalops_core.trend.thumbnail import image
from evalops_dagster.metadata import cut, present, table

_TABLE_ROWS = 14
_MADE = {
    "new": "now",
    "stored": "before, nothing was embedded",
    "insufficient": "no: too few traces with a user's message",
}


def of_sample(sampled: Sampled) -> dict[str, Any]:
    day = sampled.day
    note = "all prompts are the same text; where the prompt begins with example turns: drift: {message: last}"
    return {
        **({"note": note} if sampled.all_alike else {}),
        "prompts": day.n,
        "malformed": day.n_malformed,
        "embedding model": day.embedding_model,
        "made": _MADE[sampled.how],
    }


def of_day(
    day: DriftDay, history: Sequence[DriftDay], texts: Mapping[str, str | None] | None, *, repeated: bool
) -> dict[str, Any]:
    """`history` is newest first and begins with the day; `texts` are those that people may see, None for none."""
    first, last = (day.baseline_days[0], day.baseline_days[-1]) if day.baseline_days else (None, None)
    return present(
        {
            "drift over days": dg.MetadataValue.md(drift_thumbnail(history)),
            "larger picture": dg.MetadataValue.md(image("the last days", drift_figure(history))),
            "state": day.state,
            "why": day.why,
            "incident": None if day.incident_id is None else str(day.incident_id),
            "drift": day.drift,
            "threshold": day.threshold,
            "rule": day.rule and (f"auto, alpha {day.alpha:g}" if day.rule == "auto" else "fixed"),
            "days above in a row": day.streak,
            "prompts": day.n,
            "malformed": day.n_malformed,
            "compared with": f"{len(day.baseline_days)} good days, {first} to {last}" if first else None,
            "embedding model": day.embedding_model,
            "decided": "before" if repeated else "now",
            "farthest prompts": _farthest(day, texts) if day.farthest else None,
            f"last {_TABLE_ROWS} days": table([_shown(one) for one in history[:_TABLE_ROWS]]),
        }
    )


def check_of(day: DriftDay, name: str) -> dg.AssetCheckResult:
    """Failed in alerting and, as a warning, in warning; a day that says nothing passes and says so."""
    severity = dg.AssetCheckSeverity.ERROR if day.state == "alerting" else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(
        check_name=name,
        passed=day.state not in ("warning", "alerting"),
        severity=severity,
        description=f"{day.day}: {day.state}, {day.why}",
        metadata=present({"drift": day.drift, "threshold": day.threshold, "day": str(day.day)}),
    )


def _farthest(day: DriftDay, texts: Mapping[str, str | None] | None) -> dg.TableMetadataValue:
    rows: list[dict[str, str | int]] = []
    for far in day.farthest:
        row: dict[str, str | int] = {"distance": f"{far.distance:.3f}", "trace": far.trace_id}
        if texts is not None:
            row["prompt"] = cut(texts.get(far.trace_id) or "– (the trace is gone)")
        rows.append(row)
    return table(rows)


def _shown(day: DriftDay) -> dict[str, str | int]:
    return {
        "day": str(day.day),
        "state": day.state or "",
        "drift": "" if day.drift is None else f"{day.drift:.3f}",
        "threshold": "" if day.threshold is None else f"{day.threshold:.3f}",
        "prompts": day.n,
        "incident": "" if day.incident_id is None else str(day.incident_id),
        "why": day.why,
    }
