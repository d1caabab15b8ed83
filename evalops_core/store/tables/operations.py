"""What a deployment knows of itself: what it spent, and since when it stands."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Date, Index, Table, Text

from evalops_core.store.tables.base import INSTANT, METADATA, MONEY, created_at, id_column, run_id

SPEND = Table(
    "spend",
    METADATA,
    id_column(),
    Column("feature", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("day", Date, nullable=False),
    run_id(ondelete="SET NULL"),
    Column("reserved_usd", MONEY),
    Column("settled_usd", MONEY),
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    created_at(),
    Column("settled_at", INSTANT),
    CheckConstraint("reserved_usd >= 0 AND reserved_usd <> 'NaN'", name="reserved"),
    CheckConstraint("settled_usd >= 0 AND settled_usd <> 'NaN'", name="settled"),
    Index("ix_spend_day", "day", "purpose", "feature"),
    Index(None, "eval_run_id"),
)

DEPLOYMENT = Table(
    "deployment",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    created_at(),
)
