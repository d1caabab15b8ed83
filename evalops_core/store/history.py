"""The trend of eval scores, read from the view `eval_trend`: scheduled and completed runs only.

What belongs here: reading it. What does not: what is drawn or concluded from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CTE, ColumnElement, Engine, Select, Text, bindparam, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

from evalops_core.store.names import names_in
from evalops_core.store.tables import EVAL_RUNS, EVAL_TREND, VALID

_NEWEST_FIRST = (EVAL_TREND.c.window_start.desc(), EVAL_TREND.c.eval_run_id.desc())


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendRow:
    """One point of a trend.

    `score` and `se` are on the 1–5 scale, `ci_low` and `ci_high` the score ± 1.96 SE kept within it. `delta` is the
    change from the same feature's and model's run before, `mean_7` the mean of those among their last seven runs, this
    one included, that are measured as this one is. `reference` is the score that the run was judged against,
    `baseline_run_id` the run which that is of, `verdict` the outcome, `incident_id` the incident that was open after
    it. `changed` names what of the comparability key differs from the feature's run before, "judge, prompt". None where
    there is none.
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
    """At most `limit` points, newest window first, of the windows that start from `since` to `until`, both included.

    `model` is its resolved id, "" for the runs whose endpoint named none.
    """
    return _rows(engine, trend_query(feature=feature, model=model, limit=limit, since=since, until=until))


def newest_of_each(engine: Engine, limit: int, features: Sequence[str] | None = None) -> list[TrendRow]:
    """The newest `limit` points of each of `features`, None for every feature that has any; by feature, newest first.

    What it reads grows with the features and with `limit`, not with the history.
    """
    return _rows(engine, newest_query(limit, features))


def trend_query(
    *,
    feature: str | None,
    model: str | None,
    limit: int,
    since: datetime | None,
    until: datetime | None = None,
) -> Select[Any]:
    """The statement behind `trend`, apart so that its plan can be examined."""
    query = select(EVAL_TREND)
    order: list[ColumnElement[Any]] = [*_NEWEST_FIRST]
    model_of = func.coalesce(EVAL_TREND.c.model_id, "")  # as the indexes have it
    if feature is not None:
        query = query.where(EVAL_TREND.c.feature == feature)
    if model is not None and feature is not None:
        query = query.where(model_of == model)
    elif model is not None:
        # A range, and the model first in the order, have one index that serves both. Had the planner a choice, it would
        # walk from the newest of all runs, and far where the model is one of long ago.
        query = query.where(model_of.between(model, model))
        order.insert(0, model_of)
    if since is not None:
        query = query.where(EVAL_TREND.c.window_start >= since)
    if until is not None:
        query = query.where(EVAL_TREND.c.window_start <= until)
    return query.order_by(*order).limit(limit)


def newest_query(limit: int, features: Sequence[str] | None = None) -> Select[Any]:
    """The statement behind `newest_of_each`."""
    named = names_in(EVAL_RUNS.name, VALID.text).cte("features") if features is None else _given(features)
    newest = select(EVAL_TREND).where(EVAL_TREND.c.feature == named.c.feature).order_by(*_NEWEST_FIRST).limit(limit)
    points = newest.lateral("points")
    order = (points.c.feature, points.c.window_start.desc(), points.c.eval_run_id.desc())
    return select(points).select_from(named.join(points, literal(value=True))).order_by(*order)


def _given(features: Sequence[str]) -> CTE:
    names = bindparam("features", sorted(set(features)), type_=ARRAY(Text))
    return select(func.unnest(names, type_=Text).label("feature")).cte("features")


def _rows(engine: Engine, query: Select[Any]) -> list[TrendRow]:
    with engine.connect() as connection:
        return [TrendRow(**row) for row in connection.execute(query).mappings()]
