"""Days of drift as the database gives them, and in it, with what a test cares about given by name."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from typing import Any

import numpy as np
from sqlalchemy import Engine

from evalops_core.domain.drift.day import DriftDay, Far
from evalops_core.domain.drift.decide import Decision
from evalops_core.store.drift import DriftDays

FIRST = date(2026, 11, 1)
DECIDED = datetime(2026, 12, 1, 0, 30, tzinfo=timezone.utc)


def drift_day(place: int, drift: float | None, *, threshold: float | None = 0.15, **given: Any) -> DriftDay:
    """The day `place` days after the first: within `threshold` or above it, of the baseline without a drift; `given`
    replaces any field."""
    day = FIRST + timedelta(days=place)
    values: dict[str, Any] = {
        "id": place + 1,
        "feature": "explain",
        "day": day,
        "embedding_model": "small-embedding",
        "n": 40,
        "state": "baseline",
        "why": "day 1 of the first 3, which nothing is compared with yet",
        "decided_at": DECIDED,
    }
    if drift is not None and threshold is not None:
        state, side = ("ok", "within") if drift <= threshold else ("warning", "above")
        values |= {
            "state": state,
            "drift": drift,
            "threshold": threshold,
            "rule": "fixed",
            "streak": int(state != "ok"),
            "baseline_days": (day - timedelta(days=2), day - timedelta(days=1)),
            "farthest": (Far("trace-9", 0.75), Far("trace-4", 0.5)),
            "why": f"drift {drift:.3f} is {side} {threshold:.3f}",
        }
    return DriftDay(**{**values, **given})


def drift_days(
    drifts: Sequence[float | None | str], *, of: Mapping[int, Mapping[str, Any]] | None = None, **all_: Any
) -> list[DriftDay]:
    """A day for each, newest first; a gap where it is "gap", `of` says more of single days."""
    made = [
        drift_day(place, drift, **{**all_, **(of or {}).get(place, {})})
        for place, drift in enumerate(drifts)
        if not isinstance(drift, str)
    ]
    return made[::-1]


def keep_days(engine: Engine, days: Sequence[DriftDay]) -> None:
    """Store them as the assets do: sampled, then decided where they have a state."""
    with engine.begin() as connection:
        stored = DriftDays(connection)
        for day in sorted(days, key=lambda day: day.day):
            kept = stored.keep(
                day.feature,
                day.day,
                day.embedding_model,
                n=day.n,
                n_malformed=day.n_malformed,
                centroid=np.ones(2) if day.has_centroid else None,
                sample={},
            )
            if day.state is None:
                continue
            found = Decision(
                state=day.state,
                streak=day.streak,
                why=day.why,
                drift=day.drift,
                threshold=day.threshold,
                rule=day.rule,
                alpha=day.alpha,
                baseline_days=day.baseline_days,
                farthest=day.farthest,
            )
            stored.decide(kept.id, found, day.decided_at or DECIDED, day.incident_id)
