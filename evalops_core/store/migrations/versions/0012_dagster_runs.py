"""The eval runs of one Dagster run by index: each verdict looks for them."""

from alembic import op

revision = "0012_dagster_runs"
down_revision = "0011_judge_cache"


def upgrade() -> None:
    op.execute("""
        CREATE INDEX ix_eval_runs_dagster_run_id ON evalops.eval_runs (dagster_run_id)
            WHERE dagster_run_id IS NOT NULL
    """)


def downgrade() -> None:
    op.execute("DROP INDEX evalops.ix_eval_runs_dagster_run_id")
