"""Traces of production, and the centroids of what was asked.

What belongs here: columns and constraints. What does not: statements (store), decisions (domain).
"""

from sqlalchemy import CheckConstraint, Column, Date, Index, Integer, Table, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from evalops_core.store.tables.base import METADATA, NUMBER, created_at, id_column

LLM_TRACES = Table(
    "llm_traces",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("feature", Text, nullable=False),
    created_at(),
    Column("messages", JSONB, nullable=False),
    Column("model", Text),
    Column("error", Text),
)
Index(
    "ix_llm_traces_sample",
    LLM_TRACES.c.feature,
    LLM_TRACES.c.created_at.desc(),
    postgresql_where=text("error IS NULL"),
)

DRIFT_CENTROIDS = Table(
    "drift_centroids",
    METADATA,
    id_column(),
    Column("feature", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("embedding_model", Text, nullable=False),
    Column("centroid", ARRAY(NUMBER)),
    Column("n", Integer, nullable=False),
    Column("n_malformed", Integer, nullable=False, server_default="0"),
    Column("state", Text),
    Column("drift", NUMBER),
    Column("threshold", NUMBER),
    created_at(),
    UniqueConstraint("feature", "day", "embedding_model"),
    CheckConstraint("state IN ('baseline', 'ok', 'warning', 'alerting', 'insufficient')", name="state"),
    CheckConstraint("drift BETWEEN 0 AND 2", name="drift"),
)
