"""The ledger as it is really kept: one row per run, purpose, model and day, and reservations apart from it."""

from alembic import op

revision = "0006_ledger"
down_revision = "0005_drift"


def upgrade() -> None:
    op.execute("""
        ALTER TABLE evalops.spend
            DROP COLUMN reserved_usd,
            DROP COLUMN settled_at,
            ADD COLUMN calls bigint NOT NULL DEFAULT '0',
            ADD COLUMN lost_calls bigint NOT NULL DEFAULT '0',
            ADD COLUMN unpriced_calls bigint NOT NULL DEFAULT '0',
            ADD COLUMN assumed_usd numeric NOT NULL DEFAULT '0',
            ADD CONSTRAINT ck_spend_assumed CHECK (assumed_usd >= 0 AND assumed_usd <> 'NaN'),
            ADD CONSTRAINT ck_spend_counts CHECK (calls >= 0 AND lost_calls >= 0 AND unpriced_calls >= 0),
            ADD CONSTRAINT uq_spend_eval_run_id_purpose_model_day UNIQUE (eval_run_id, purpose, model, day);
        DROP INDEX evalops.ix_spend_eval_run_id;

        CREATE TABLE evalops.spend_holds (
            eval_run_id bigint NOT NULL
                CONSTRAINT fk_spend_holds_eval_run_id REFERENCES evalops.eval_runs (id) ON DELETE CASCADE,
            holder text NOT NULL,
            day date NOT NULL,
            reserved_usd numeric NOT NULL,
            expires_at timestamptz NOT NULL,
            CONSTRAINT pk_spend_holds PRIMARY KEY (eval_run_id, holder, day),
            CONSTRAINT ck_spend_holds_reserved CHECK (reserved_usd >= 0 AND reserved_usd <> 'NaN')
        );
    """)


def downgrade() -> None:
    op.execute("""
        DROP TABLE evalops.spend_holds;
        ALTER TABLE evalops.spend
            DROP CONSTRAINT uq_spend_eval_run_id_purpose_model_day,
            DROP COLUMN calls,
            DROP COLUMN lost_calls,
            DROP COLUMN unpriced_calls,
            DROP COLUMN assumed_usd,
            ADD COLUMN reserved_usd numeric
                CONSTRAINT ck_spend_reserved CHECK (reserved_usd >= 0 AND reserved_usd <> 'NaN'),
            ADD COLUMN settled_at timestamptz;
        CREATE INDEX ix_spend_eval_run_id ON evalops.spend (eval_run_id);
    """)
