"""What a deployment knows of itself: what it spent, what is reserved, and since when it stands.

What belongs here: columns and constraints. What does not: statements (spend, deployment), decisions (domain).
"""

from sqlalchemy import BigInteger, CheckConstraint, Column, Date, Index, Table, Text, UniqueConstraint

from evalops_core.store.tables.base import INSTANT, METADATA, MONEY, created_at, id_column, run_id

SPEND = Table(
    "spend",
    METADATA,
    id_column(),
    Column("feature", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("day", Date, nullable=False),
    run_id(ondelete="SET NULL"),  # what was spent stays spent, whatever becomes of the run
    Column("calls", BigInteger, nullable=False, server_default="0"),
    Column("lost_calls", BigInteger, nullable=False, server_default="0"),
    Column("unpriced_calls", BigInteger, nullable=False, server_default="0"),
    Column("settled_usd", MONEY),
    Column("assumed_usd", MONEY, nullable=False, server_default="0"),
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    created_at(),
    UniqueConstraint("eval_run_id", "purpose", "model", "day"),
    CheckConstraint("settled_usd >= 0 AND settled_usd <> 'NaN'", name="settled"),
    CheckConstraint("assumed_usd >= 0 AND assumed_usd <> 'NaN'", name="assumed"),
    CheckConstraint("calls >= 0 AND lost_calls >= 0 AND unpriced_calls >= 0", name="counts"),
    Index("ix_spend_day", "day", "purpose", "feature"),
)

SPEND_HOLDS = Table(
    "spend_holds",
    METADATA,
    run_id(primary_key=True),
    Column("holder", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("reserved_usd", MONEY, nullable=False),
    Column("expires_at", INSTANT, nullable=False),
    CheckConstraint("reserved_usd >= 0 AND reserved_usd <> 'NaN'", name="reserved"),
)

DEPLOYMENT = Table(
    "deployment",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    created_at(),
)
