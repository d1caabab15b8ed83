"""What judges said before, by what they were asked.

What belongs here: columns and constraints. What does not: statements (store.judge_cache).
"""

from sqlalchemy import Column, Index, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from evalops_core.store.tables.base import METADATA, created_at

JUDGE_CACHE = Table(
    "judge_cache",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("judge", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("axes", JSONB, nullable=False),
    created_at(),
    Index("ix_judge_cache_judge", "judge", "created_at"),
    Index("ix_judge_cache_created_at", "created_at"),
)
