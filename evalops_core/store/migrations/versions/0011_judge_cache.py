"""What judges said before, so that the same question is not paid for twice."""

from alembic import op

revision = "0011_judge_cache"
down_revision = "0010_trend"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE evalops.judge_cache (
            key text NOT NULL,
            judge text NOT NULL,
            model text NOT NULL,
            axes jsonb NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT pk_judge_cache PRIMARY KEY (key)
        );
        CREATE INDEX ix_judge_cache_judge ON evalops.judge_cache (judge, created_at);
        CREATE INDEX ix_judge_cache_created_at ON evalops.judge_cache (created_at);
    """)


def downgrade() -> None:
    op.execute("DROP TABLE evalops.judge_cache")
