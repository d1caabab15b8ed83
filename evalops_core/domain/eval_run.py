"""One evaluation of one feature for one window, and the rows it is made of.

What belongs here: the facts as they are stored. What does not: how they are read and written (store), how they come
about (run).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

from evalops_core.domain.comparability import ComparabilityKey
from evalops_core.domain.score import Outcome

RunType = Literal["scheduled", "manual"]
RunStatus = Literal["running", "completed", "partial", "invalid", "failed"]
PURGED = "(the text was purged)"  # what people read in the place of a text that retention has taken


@dataclass(frozen=True, slots=True)
class EvalRun:
    """A row of `eval_runs`. `score` and `se` are on the 1–5 scale; None until known, or where nothing was scored.

    `cost_usd` is None where the price of any paid call is unknown. `dagster_run_id` is the root of the re-executions.
    `status_reason` says in words why a run is partial, invalid or failed. `plan_key` is the digest of what a run has to
    match to go on: the comparability key as asked for, before any endpoint resolved a model's name, and the endpoints.
    `weights` maps `scorer.axis` to its share of a case's score, `breakdown` to its mean. `texts_purged_at` is when
    retention took its texts: its numbers stand, but nothing can be answered or judged in it any more.
    """

    id: int
    feature: str
    window_start: datetime
    window_end: datetime
    partition_key: str
    run_type: RunType
    status: RunStatus
    comparability: ComparabilityKey
    plan_key: str
    created_at: datetime
    weights: Mapping[str, float] = field(default_factory=dict[str, float])
    model_id: str | None = None
    judge_model_id: str | None = None
    score: Decimal | None = None
    se: Decimal | None = None
    n: int | None = None
    n_unscored: int | None = None
    coverage: float | None = None
    breakdown: Mapping[str, float] = field(default_factory=dict[str, float])
    git_sha: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: Decimal | None = None
    dagster_run_id: str | None = None
    finished_at: datetime | None = None
    status_reason: str | None = None
    texts_purged_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """A row of `responses`: one answer, or the error that stands in its place (`error_class` set, `text` None).

    With neither it is an answer whose text was purged. `case_group` is the case's, so that standard errors can be
    clustered by it whatever becomes of the suite.
    """

    case_id: str
    repeat: int
    text: str | None = None
    case_group: str | None = None
    model: str | None = None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: Decimal | None = None
    latency_s: float | None = None
    attempts: int = 1
    error_class: str | None = None
    error_text: str | None = None

    @property
    def is_purged(self) -> bool:
        """Whether it is an answer whose text is not known any more."""
        return self.text is None and self.error_class is None

    @property
    def shown(self) -> str | None:
        """The answer as people read it; None where none came."""
        return PURGED if self.is_purged else self.text


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """A row of `scores`: what one scorer said of one axis of one response."""

    case_id: str
    repeat: int
    scorer: str
    axis: str
    outcome: Outcome
    rationale: str | None = None
    model: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: Decimal | None = None
