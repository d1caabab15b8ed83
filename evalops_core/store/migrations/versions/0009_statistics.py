"""What the statistics carry from run to run, and the runs that are to confirm a fall."""

from alembic import op

revision = "0009_statistics"
down_revision = "0008_incidents"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE evalops.slides (
            feature text NOT NULL,
            eval_run_id bigint
                CONSTRAINT fk_slides_eval_run_id REFERENCES evalops.eval_runs (id) ON DELETE SET NULL,
            state jsonb NOT NULL,
            CONSTRAINT pk_slides PRIMARY KEY (feature)
        );

        CREATE TABLE evalops.confirmations (
            eval_run_id bigint NOT NULL
                CONSTRAINT fk_confirmations_eval_run_id REFERENCES evalops.eval_runs (id) ON DELETE CASCADE,
            requested_at timestamptz NOT NULL,
            confirming_run_id bigint
                CONSTRAINT fk_confirmations_confirming_run_id REFERENCES evalops.eval_runs (id) ON DELETE SET NULL,
            outcome text,
            CONSTRAINT pk_confirmations PRIMARY KEY (eval_run_id)
        );
        ALTER TABLE evalops.eval_runs ADD COLUMN confirms_run_id bigint
            CONSTRAINT fk_eval_runs_confirms_run_id REFERENCES evalops.eval_runs (id) ON DELETE SET NULL;
        CREATE INDEX ix_eval_runs_confirms_run_id ON evalops.eval_runs (confirms_run_id)
            WHERE confirms_run_id IS NOT NULL;
    """)


def downgrade() -> None:
    op.execute("""
        DROP TABLE evalops.confirmations, evalops.slides;
        ALTER TABLE evalops.eval_runs DROP COLUMN confirms_run_id;
    """)
