"""A feature's day as drift sees it: what was sampled, and what was decided.

What belongs here: the values. What does not: vectors (centroid), the decision (decide), rows (store).
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from evalops_core.domain.suite import DriftSpec

State = Literal["baseline", "ok", "warning", "alerting", "insufficient"]
Rule = Literal["fixed", "auto"]


def series_name(embedding_model: str, spec: DriftSpec) -> str:
    """What days have in common that may be compared: the embedding model, and which message of a trace it is given.

    It stands as `DriftDay.embedding_model`, so that a change of either begins a baseline of its own.
    """
    return embedding_model if spec.message == "first" else f"{embedding_model} (last message)"


@dataclass(frozen=True, slots=True)
class Far:
    """A prompt of the sample and its cosine distance from the baseline, in [0, 2]."""

    trace_id: str
    distance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftDay:
    """A row of `drift_centroids` without its vector; `embedding_model` is a `series_name`.

    `n` counts the prompts of the sample, `n_malformed` the traces beside them that held none. The decision's parts are
    None or empty before it is made. `drift` is a cosine distance in [0, 2]; None, as `threshold`, where nothing was
    compared. `alpha` belongs to the rule `auto`. `streak` counts the breaches in a row up to this day, `baseline_days`
    are those it was compared with, `farthest` the prompts farthest from them; `why` says the state in a sentence.
    `incident_resolution` is how its incident ended, None while it is open or where there is none.
    """

    id: int
    feature: str
    day: date
    embedding_model: str
    n: int
    n_malformed: int = 0
    has_centroid: bool = True
    state: State | None = None
    drift: float | None = None
    threshold: float | None = None
    rule: Rule | None = None
    alpha: float | None = None
    streak: int = 0
    baseline_days: tuple[date, ...] = ()
    farthest: tuple[Far, ...] = ()
    why: str = ""
    decided_at: datetime | None = None
    incident_id: int | None = None
    incident_resolution: str | None = None
