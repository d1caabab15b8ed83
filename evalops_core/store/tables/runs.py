"""Eval runs, the rows they are made of, and the trend over them.

What belongs here: columns, constraints and the view. What does not: statements (runs, results, history).
"""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, Integer, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from evalops_core.store.tables.base import (
    ERROR,
    INSTANT,
    METADATA,
    MONEY,
    NUMBER,
    SCORE,
    VIEWS,
    created_at,
    id_column,
    run_id,
)

EVAL_RUNS = Table(
    "eval_runs",
    METADATA,
    id_column(),
    Column("feature", Text, nullable=False),
    Column("window_start", INSTANT, nullable=False),
    Column("window_end", INSTANT, nullable=False),
    Column("partition_key", Text, nullable=False),
    Column("run_type", Text, nullable=False, server_default="manual"),
    Column("status", Text, nullable=False, server_default="running"),
    Column("status_reason", Text),
    Column("comparability", JSONB, nullable=False),
    Column("comparability_key", Text, nullable=False),
    Column("plan_key", Text, nullable=False),
    Column("weights", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("model_id", Text),
    Column("judge_model_id", Text),
    Column("score", SCORE),
    Column("se", ERROR),
    Column("n", Integer),
    Column("n_unscored", Integer),
    Column("coverage", NUMBER),
    Column("breakdown", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("git_sha", Text),
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    Column("cost_usd", MONEY),
    Column("dagster_run_id", Text),
    created_at(),
    Column("finished_at", INSTANT),
    Column("checked_at", INSTANT),
    run_id("confirms_run_id", ondelete="SET NULL"),
    Column("texts_purged_at", INSTANT),
    CheckConstraint("run_type IN ('scheduled', 'manual')", name="run_type"),
    CheckConstraint("status IN ('running', 'completed', 'partial', 'invalid', 'failed')", name="status"),
    CheckConstraint("(status = 'running') = (finished_at IS NULL)", name="finished"),
    CheckConstraint("window_start < window_end", name="window"),
    CheckConstraint("score BETWEEN 1 AND 5", name="score"),
    CheckConstraint("se >= 0 AND se <> 'NaN'", name="se"),
    CheckConstraint("coverage BETWEEN 0 AND 1", name="coverage"),
    CheckConstraint("n >= 0 AND n_unscored >= 0", name="counts"),
)
ONE_SCHEDULED = text("run_type = 'scheduled' AND status <> 'failed'")
Index(
    "uq_eval_runs_scheduled",
    EVAL_RUNS.c.feature,
    EVAL_RUNS.c.partition_key,
    unique=True,
    postgresql_where=ONE_SCHEDULED,
)
Index("ix_eval_runs_window", EVAL_RUNS.c.feature, EVAL_RUNS.c.partition_key, EVAL_RUNS.c.id)
Index("ix_eval_runs_history", EVAL_RUNS.c.feature, EVAL_RUNS.c.run_type, EVAL_RUNS.c.window_start.desc())

Index(
    "ix_eval_runs_confirms_run_id",
    EVAL_RUNS.c.confirms_run_id,
    postgresql_where=text("confirms_run_id IS NOT NULL"),
)
Index(
    "ix_eval_runs_dagster_run_id",
    EVAL_RUNS.c.dagster_run_id,
    postgresql_where=text("dagster_run_id IS NOT NULL"),
)
VALID = text("run_type = 'scheduled' AND status = 'completed'")
UNCHECKED = text("run_type = 'scheduled' AND status = 'completed' AND checked_at IS NULL")
Index("ix_eval_runs_unchecked", EVAL_RUNS.c.window_start, EVAL_RUNS.c.id, postgresql_where=UNCHECKED)
# The trend: of a feature, of one of its models, of a model, of everything.
_NEWEST_FIRST = (EVAL_RUNS.c.window_start.desc(), EVAL_RUNS.c.id.desc())
_MODEL = text("coalesce(model_id, '')")
Index("ix_eval_runs_trend", EVAL_RUNS.c.feature, *_NEWEST_FIRST, postgresql_where=VALID)
Index("ix_eval_runs_trend_model", EVAL_RUNS.c.feature, _MODEL, *_NEWEST_FIRST, postgresql_where=VALID)
Index("ix_eval_runs_trend_of_model", _MODEL, *_NEWEST_FIRST, postgresql_where=VALID)
Index("ix_eval_runs_trend_all", *_NEWEST_FIRST, postgresql_where=VALID)

RESPONSES = Table(
    "responses",
    METADATA,
    run_id(primary_key=True),
    Column("case_id", Text, primary_key=True),
    Column("repeat", Integer, primary_key=True),
    Column("text", Text),
    Column("case_group", Text),
    Column("model", Text),
    Column("finish_reason", Text),
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    Column("cost_usd", MONEY),
    Column("latency_s", NUMBER),
    Column("attempts", Integer, nullable=False, server_default="1"),
    Column("error_class", Text),
    Column("error_text", Text),
    Column("purged", Boolean, nullable=False, server_default=text("false")),  # the answer's text is not kept any more
    CheckConstraint("(text IS NULL) = (error_class IS NOT NULL OR purged)", name="text_or_error"),
)

SCORES = Table(
    "scores",
    METADATA,
    run_id(primary_key=True),
    Column("case_id", Text, primary_key=True),
    Column("repeat", Integer, primary_key=True),
    Column("scorer", Text, primary_key=True),
    Column("axis", Text, primary_key=True),
    Column("value", NUMBER),
    Column("unscored_reason", Text),
    Column("rationale", Text),
    Column("model", Text),
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    Column("cost_usd", MONEY),
    CheckConstraint("(value IS NULL) <> (unscored_reason IS NULL)", name="value_or_reason"),
    CheckConstraint("value BETWEEN 1 AND 5", name="value"),  # refuses NaN too, which sorts above every number
)

EVAL_TREND = Table(
    "eval_trend",
    VIEWS,
    Column("eval_run_id", BigInteger),
    Column("feature", Text),
    Column("model_id", Text),
    Column("judge_model_id", Text),
    Column("partition_key", Text),
    Column("window_start", INSTANT),
    Column("window_end", INSTANT),
    Column("score", SCORE),
    Column("se", ERROR),
    Column("ci_low", MONEY),
    Column("ci_high", MONEY),
    Column("n", Integer),
    Column("n_unscored", Integer),
    Column("coverage", NUMBER),
    Column("delta", MONEY),
    Column("mean_7", MONEY),
    Column("baseline_run_id", BigInteger),
    Column("reference", SCORE),
    Column("verdict", Text),
    Column("incident_id", BigInteger),
    Column("changed", Text),
    Column("cost_usd", MONEY),
    Column("git_sha", Text),
    Column("comparability_key", Text),
    Column("created_at", INSTANT),
    Column("finished_at", INSTANT),
)
