"""Texts that are old may go while the scores made of them stay: when a run's, or a mail's, were taken."""

from alembic import op

revision = "0014_purged_texts"
down_revision = "0013_drift_states"


def upgrade() -> None:
    op.execute("""
        ALTER TABLE evalops.eval_runs ADD COLUMN texts_purged_at timestamptz;
        ALTER TABLE evalops.outbox ADD COLUMN texts_purged_at timestamptz;
        ALTER TABLE evalops.responses
            ADD COLUMN purged boolean NOT NULL DEFAULT false,
            DROP CONSTRAINT ck_responses_text_or_error,
            ADD CONSTRAINT ck_responses_text_or_error CHECK ((text IS NULL) = (error_class IS NOT NULL OR purged));
    """)


def downgrade() -> None:
    op.execute("""
        ALTER TABLE evalops.responses DROP CONSTRAINT ck_responses_text_or_error;
        UPDATE evalops.responses SET text = '' WHERE purged;
        ALTER TABLE evalops.responses
            DROP COLUMN purged,
            ADD CONSTRAINT ck_responses_text_or_error CHECK ((text IS NULL) <> (error_class IS NULL));
        ALTER TABLE evalops.outbox DROP COLUMN texts_purged_at;
        ALTER TABLE evalops.eval_runs DROP COLUMN texts_purged_at;
    """)
