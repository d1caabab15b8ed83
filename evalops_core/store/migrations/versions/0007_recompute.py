"""A run keeps what its score was computed with, so that it can be recomputed after its suite has changed."""

from alembic import op

revision = "0007_recompute"
down_revision = "0006_ledger"


def upgrade() -> None:
    op.execute("""
        ALTER TABLE evalops.eval_runs ADD COLUMN weights jsonb NOT NULL DEFAULT '{}'::jsonb;
        ALTER TABLE evalops.responses
            ADD COLUMN case_group text,
            ALTER COLUMN prompt_tokens TYPE bigint,
            ALTER COLUMN completion_tokens TYPE bigint;
        ALTER TABLE evalops.scores
            ALTER COLUMN prompt_tokens TYPE bigint,
            ALTER COLUMN completion_tokens TYPE bigint;
    """)


def downgrade() -> None:
    op.execute("""
        ALTER TABLE evalops.eval_runs DROP COLUMN weights;
        ALTER TABLE evalops.responses
            DROP COLUMN case_group,
            ALTER COLUMN prompt_tokens TYPE integer,
            ALTER COLUMN completion_tokens TYPE integer;
        ALTER TABLE evalops.scores
            ALTER COLUMN prompt_tokens TYPE integer,
            ALTER COLUMN completion_tokens TYPE integer;
    """)
