"""Rows of a trend as the database gives them, with what a test cares about given by name."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from evalops_core.trend.history import TrendRow

START = datetime(2026, 10, 1, tzinfo=timezone.utc)


def row(place: int, score: str | None, *, hours: int = 24, width: str = "0.2", **given: Any) -> TrendRow:
    """The run of window `place` with an interval of ± `width`; `given` replaces any column."""
    start = START + timedelta(hours=hours * place)
    value = None if score is None else Decimal(score)
    values: dict[str, Any] = {
        "eval_run_id": place + 1,
        "feature": "explain",
        "model_id": "small-1",
        "judge_model_id": None,
        "partition_key": start.strftime("%Y-%m-%d" if hours >= 24 else "%Y-%m-%d-%H:%M"),
        "window_start": start,
        "window_end": start + timedelta(hours=hours),
        "score": value,
        "se": Decimal("0.1"),
        "ci_low": value and max(Decimal(1), value - Decimal(width)),
        "ci_high": value and min(Decimal(5), value + Decimal(width)),
        "n": 40,
        "n_unscored": 0,
        "coverage": 1.0,
        "delta": None,
        "mean_7": value,
        "baseline_run_id": None,
        "reference": None,
        "verdict": None,
        "incident_id": None,
        "changed": None,
        "cost_usd": None,
        "git_sha": None,
        "comparability_key": "k",
        "created_at": start,
        "finished_at": start,
    }
    return TrendRow(**{**values, **given})


def rows(
    scores: Sequence[str | None], *, of: Mapping[int, Mapping[str, Any]] | None = None, **all_: Any
) -> list[TrendRow]:
    """A run a window, None where it has none, newest first; `of` says more of single windows."""
    made = [
        row(place, score, **{**all_, **(of or {}).get(place, {})})
        for place, score in enumerate(scores)
        if score is not None
    ]
    return made[::-1]
