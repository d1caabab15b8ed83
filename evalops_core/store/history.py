"""The trend of eval scores, read from the view `eval_trend`: scheduled and completed runs only.

What belongs here: reading it. What does not: what is drawn or concluded from it.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Engine, Select, select

from evalops_core.store.tables import EVAL_TREND


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendRow:
    """One point of a trend.

    `score` and `se` are on the 1–5 scale, `ci_low` and `ci_high` the score ± 1.96 SE kept within it. `delta` is the
    change from the same feature's and model's run before, `mean_7` the mean of those among their last seven runs, this
    one included, that are measured as this one is. `reference` is the score that the run was judged against,
    `baseline_run_id` the run which that is of, `verdict` the outcome, `incident_id` the incident that was open after it. `changed` names what of the comparability key
    differs from the feature's run before, "judge, prompt". None where there is none.
    """

    eval_run_id: int
    feature: str
    model_id: str | None
    judge_model_id: str | None
    partition_key: str
    window_start: datetime
    window_end: datetime
    score: Decimal | None
    se: Decimal | None
    ci_low: Decimal | None
    ci_high: Decimal | None
    n: int | None
    n_unscored: int | None
    coverage: float | None
    delta: Decimal | None
    mean_7: Decimal | None
    baseline_run_id: int | None
    reference: Decimal | None
    verdict: str | None
    incident_id: int | None
    changed: str | None
    cost_usd: Decimal | None
    git_sha: str | None
    comparability_key: str
    created_at: datetime
    finished_at: datetime


def trend(
    engine: Engine,
    *,
    feature: str | None = None,
    model: str | None = None,
    limit: int = 100,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[TrendRow]:
    """At most `limit` points, newest window first, of the windows that start from `since` to `until`, both included."""
    with engine.connect() as connection:
        rows = connection.execute(trend_query(feature=feature, model=model, limit=limit, since=since, until=until))
        return [TrendRow(**row) for row in rows.mappings()]


def trend_query(
    *,
    feature: str | None,
    model: str | None,
    limit: int,
    since: datetime | None,
    until: datetime | None = None,
) -> Select[tuple[object]]:
    """The statement behind `trend`, apart so that its plan can be examined."""
    query = select(EVAL_TREND)
    if feature is not None:
        query = query.where(EVAL_TREND.c.feature == feature)
    if model is not None:
        query = query.where(EVAL_TREND.c.model_id == model)
    if since is not None:
        query = query.where(EVAL_TREND.c.window_start >= since)
    if until is not None:
        query = query.where(EVAL_TREND.c.window_start <= until)
    return query.order_by(EVAL_TREND.c.window_start.desc(), EVAL_TREND.c.eval_run_id.desc()).limit(limit)
