"""Traces of production, and the centroids of what was asked.

What belongs here: columns and constraints. What does not: statements (store), decisions (domain).
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from evalops_core.store.tables.base import INSTANT, METADATA, NUMBER, created_at, id_column

LLM_TRACES = Table(
    "llm_traces",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("feature", Text, nullable=False),
    created_at(),
    Column("messages", JSONB, nullable=False),
    Column("model", Text),
    Column("error", Text),
    Index(None, "created_at"),  # what is too old
)
Index(
    "ix_llm_traces_sample",
    LLM_TRACES.c.feature,
    LLM_TRACES.c.created_at.desc(),
    LLM_TRACES.c.id.desc(),
    postgresql_where=text("error IS NULL"),
)

# A feature's day: what was asked as one vector (none where too little was), and later what was decided of it.
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
    Column("rule", Text),
    Column("alpha", NUMBER),
    Column("streak", Integer, nullable=False, server_default="0"),
    Column("baseline_days", ARRAY(Date), nullable=False, server_default=text("'{}'::date[]")),
    Column("farthest", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    Column("why", Text, nullable=False, server_default=""),
    Column("decided_at", INSTANT),
    Column("incident_id", BigInteger, ForeignKey("evalops.incidents.id", ondelete="SET NULL")),
    UniqueConstraint("feature", "day", "embedding_model"),
    CheckConstraint("state IN ('baseline', 'ok', 'warning', 'alerting', 'insufficient')", name="state"),
    CheckConstraint("drift BETWEEN 0 AND 2", name="drift"),
    CheckConstraint("rule IN ('fixed', 'auto')", name="rule"),
    CheckConstraint("streak >= 0", name="streak"),
    CheckConstraint("(state IS NULL) = (decided_at IS NULL)", name="decided"),
    Index(None, "incident_id"),
)

# The embeddings that a day's centroid was made of, as 32-bit floats, little-endian: what `threshold: auto` permutes.
DRIFT_SAMPLES = Table(
    "drift_samples",
    METADATA,
    Column("centroid_id", BigInteger, ForeignKey("evalops.drift_centroids.id", ondelete="CASCADE"), primary_key=True),
    Column("trace_id", Text, primary_key=True),
    Column("vector", LargeBinary, nullable=False),
)
