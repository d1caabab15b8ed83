"""Baselines, verdicts, incidents and their messages.

What belongs here: columns and constraints. What does not: statements (store), decisions (domain).
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from evalops_core.store.tables.base import INSTANT, METADATA, SCORE, created_at, id_column, run_id

BASELINES = Table(
    "baselines",
    METADATA,
    id_column(),
    Column("feature", Text, nullable=False),
    run_id(nullable=False),
    Column("reason", Text, nullable=False),
    Column("pinned_by", Text),
    Column("pinned_at", INSTANT, nullable=False, server_default=func.now()),
    Column("unpinned_at", INSTANT),
    Index(None, "eval_run_id"),
)
Index("uq_baselines_pinned", BASELINES.c.feature, unique=True, postgresql_where=text("unpinned_at IS NULL"))

VERDICTS = Table(
    "verdicts",
    METADATA,
    id_column(),
    run_id(nullable=False),
    run_id("baseline_run_id", ondelete="SET NULL"),
    Column("outcome", Text, nullable=False),
    Column("severity", Text, nullable=False, server_default="none"),
    Column("rule", Text),
    Column("prior_score", SCORE),
    Column("current_score", SCORE),
    Column("drop", SCORE),
    Column("details", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    created_at(),
    Column("incident_id", BigInteger, ForeignKey("evalops.incidents.id", ondelete="SET NULL")),
    Column("why", Text, nullable=False, server_default=""),
    UniqueConstraint("eval_run_id"),
    CheckConstraint(
        "outcome IN ('regressed', 'stable', 'improved', 'inconclusive', 'no_baseline', 'not_comparable')",
        name="outcome",
    ),
    CheckConstraint("severity IN ('none', 'warn', 'page')", name="severity"),
    Index(None, "baseline_run_id"),
    Index(None, "incident_id"),
)

INCIDENTS = Table(
    "incidents",
    METADATA,
    id_column(),
    Column("fingerprint", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("feature", Text, nullable=False),
    Column("model_id", Text),
    Column("state", Text, nullable=False, server_default="firing"),
    run_id("opened_by_run_id", ondelete="SET NULL"),
    Column("reference_score", SCORE),
    Column("opened_at", INSTANT, nullable=False, server_default=func.now()),
    Column("acknowledged_at", INSTANT),
    Column("silenced_until", INSTANT),
    Column("resolved_at", INSTANT),
    run_id("reference_run_id", ondelete="SET NULL"),
    run_id("resolved_by_run_id", ondelete="SET NULL"),
    Column("current_score", SCORE),
    Column("lowest_score", SCORE),
    Column("acknowledged_by", Text),
    Column("reminded_at", INSTANT),
    Column("resolution", Text),
    Column("reason", Text),
    Column("closed_by", Text),
    CheckConstraint("kind IN ('regression', 'no_data', 'drift')", name="kind"),
    CheckConstraint("state IN ('firing', 'silenced', 'resolved')", name="state"),
    CheckConstraint("resolution IN ('recovered', 'accepted')", name="resolution"),
    CheckConstraint("(state = 'resolved') = (resolved_at IS NOT NULL)", name="resolved"),
    Index(None, "opened_by_run_id"),
    Index(None, "feature", "id"),
)
INCIDENTS_OPEN = text("resolved_at IS NULL")
Index("uq_incidents_open", INCIDENTS.c.fingerprint, unique=True, postgresql_where=INCIDENTS_OPEN)

OUTBOX = Table(
    "outbox",
    METADATA,
    id_column(),
    Column("key", UUID(as_uuid=True), nullable=False, server_default=text("gen_random_uuid()")),
    Column("transition", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="due"),
    Column("rendered", JSONB),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("due_at", INSTANT, nullable=False, server_default=func.now()),
    Column("leased_until", INSTANT),
    Column("first_attempt_at", INSTANT),
    Column("provider_id", Text),
    Column("last_error", Text),
    created_at(),
    Column("sent_at", INSTANT),
    Column("texts_purged_at", INSTANT),
    UniqueConstraint("key"),
    CheckConstraint("transition IN ('firing', 'resolved', 'reminder', 'test')", name="transition"),
    CheckConstraint("state IN ('due', 'sent', 'dead', 'not_configured', 'dropped')", name="state"),
    CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name="sent"),
)
Index("ix_outbox_due", OUTBOX.c.due_at, postgresql_where=text("state = 'due'"))

# What one message says of several incidents, each of them once to each recipient. A reminder's transition has its day.
OUTBOX_INCIDENTS = Table(
    "outbox_incidents",
    METADATA,
    Column("incident_id", BigInteger, ForeignKey("evalops.incidents.id", ondelete="CASCADE"), primary_key=True),
    Column("transition", Text, primary_key=True),
    Column("recipient", Text, primary_key=True),
    Column("outbox_id", BigInteger, ForeignKey("evalops.outbox.id", ondelete="CASCADE"), nullable=False),
    Index(None, "outbox_id"),
)

# What the statistics carry from one run of a feature to the next.
SLIDES = Table(
    "slides",
    METADATA,
    Column("feature", Text, primary_key=True),
    run_id(ondelete="SET NULL"),
    Column("state", JSONB, nullable=False),
)

# The runs whose fall a second run is to confirm before anybody is told.
CONFIRMATIONS = Table(
    "confirmations",
    METADATA,
    run_id(primary_key=True),
    Column("requested_at", INSTANT, nullable=False),
    run_id("confirming_run_id", ondelete="SET NULL"),
    Column("outcome", Text),
)
