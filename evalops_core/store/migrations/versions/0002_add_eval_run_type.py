"""Scheduled and manual runs are told apart; whatever was there before was started by a person."""

from alembic import op

revision = "0002_add_eval_run_type"
down_revision = "0001_eval_runs"


def upgrade() -> None:
    # A constant default fills the existing rows without rewriting the table.
    op.execute("""
        ALTER TABLE evalops.eval_runs
            ADD COLUMN run_type text NOT NULL DEFAULT 'manual',
            ADD CONSTRAINT ck_eval_runs_run_type CHECK (run_type IN ('scheduled', 'manual'));
        CREATE UNIQUE INDEX uq_eval_runs_scheduled ON evalops.eval_runs (feature, partition_key)
            WHERE run_type = 'scheduled' AND status <> 'failed';
        CREATE INDEX ix_eval_runs_history ON evalops.eval_runs (feature, run_type, window_start DESC);
    """)


def downgrade() -> None:
    op.execute("ALTER TABLE evalops.eval_runs DROP COLUMN run_type")  # its check and both indexes go with it
