"""Verdicts, incidents and the outbox as they are really kept; runs know whether they were judged."""

from alembic import op

revision = "0008_incidents"
down_revision = "0007_recompute"


def upgrade() -> None:
    op.execute("""
        ALTER TABLE evalops.eval_runs ADD COLUMN checked_at timestamptz;
        -- what ended before anybody watched alerts nobody now
        UPDATE evalops.eval_runs SET checked_at = now() WHERE run_type = 'scheduled' AND status = 'completed';
        CREATE INDEX ix_eval_runs_unchecked ON evalops.eval_runs (window_start, id)
            WHERE run_type = 'scheduled' AND status = 'completed' AND checked_at IS NULL;
        CREATE INDEX ix_eval_runs_valid ON evalops.eval_runs (feature, model_id, window_start DESC)
            WHERE run_type = 'scheduled' AND status = 'completed';

        ALTER TABLE evalops.incidents
            ADD COLUMN reference_run_id bigint
                CONSTRAINT fk_incidents_reference_run_id REFERENCES evalops.eval_runs (id) ON DELETE SET NULL,
            ADD COLUMN resolved_by_run_id bigint
                CONSTRAINT fk_incidents_resolved_by_run_id REFERENCES evalops.eval_runs (id) ON DELETE SET NULL,
            ADD COLUMN current_score numeric(6, 3),
            ADD COLUMN lowest_score numeric(6, 3),
            ADD COLUMN acknowledged_by text,
            ADD COLUMN reminded_at timestamptz,
            ADD COLUMN resolution text,
            ADD COLUMN reason text,
            ADD COLUMN closed_by text,
            DROP COLUMN details,
            ADD CONSTRAINT ck_incidents_kind CHECK (kind IN ('regression', 'no_data', 'drift')),
            ADD CONSTRAINT ck_incidents_resolution CHECK (resolution IN ('recovered', 'accepted'));
        CREATE INDEX ix_incidents_feature_id ON evalops.incidents (feature, id);

        ALTER TABLE evalops.verdicts
            ADD COLUMN incident_id bigint
                CONSTRAINT fk_verdicts_incident_id REFERENCES evalops.incidents (id) ON DELETE SET NULL,
            ADD COLUMN why text NOT NULL DEFAULT '';
        CREATE INDEX ix_verdicts_incident_id ON evalops.verdicts (incident_id);

        DROP TABLE evalops.outbox;
        CREATE TABLE evalops.outbox (
            id bigint GENERATED ALWAYS AS IDENTITY,
            key uuid NOT NULL DEFAULT gen_random_uuid(),
            transition text NOT NULL,
            recipient text NOT NULL,
            state text NOT NULL DEFAULT 'due',
            rendered jsonb,
            attempts integer NOT NULL DEFAULT 0,
            due_at timestamptz NOT NULL DEFAULT now(),
            leased_until timestamptz,
            first_attempt_at timestamptz,
            provider_id text,
            last_error text,
            created_at timestamptz NOT NULL DEFAULT now(),
            sent_at timestamptz,
            CONSTRAINT pk_outbox PRIMARY KEY (id),
            CONSTRAINT uq_outbox_key UNIQUE (key),
            CONSTRAINT ck_outbox_transition CHECK (transition IN ('firing', 'resolved', 'reminder', 'test')),
            CONSTRAINT ck_outbox_state CHECK (state IN ('due', 'sent', 'dead', 'not_configured', 'dropped')),
            CONSTRAINT ck_outbox_sent CHECK ((state = 'sent') = (sent_at IS NOT NULL))
        );
        CREATE INDEX ix_outbox_due ON evalops.outbox (due_at) WHERE state = 'due';

        CREATE TABLE evalops.outbox_incidents (
            incident_id bigint NOT NULL
                CONSTRAINT fk_outbox_incidents_incident_id REFERENCES evalops.incidents (id) ON DELETE CASCADE,
            transition text NOT NULL,
            recipient text NOT NULL,
            outbox_id bigint NOT NULL
                CONSTRAINT fk_outbox_incidents_outbox_id REFERENCES evalops.outbox (id) ON DELETE CASCADE,
            CONSTRAINT pk_outbox_incidents PRIMARY KEY (incident_id, transition, recipient)
        );
        CREATE INDEX ix_outbox_incidents_outbox_id ON evalops.outbox_incidents (outbox_id);
    """)


def downgrade() -> None:
    op.execute("""
        DROP TABLE evalops.outbox_incidents, evalops.outbox;
        CREATE TABLE evalops.outbox (
            id bigint GENERATED ALWAYS AS IDENTITY,
            incident_id bigint
                CONSTRAINT fk_outbox_incident_id REFERENCES evalops.incidents (id) ON DELETE CASCADE,
            transition text NOT NULL,
            recipient text NOT NULL,
            state text NOT NULL DEFAULT 'due',
            message jsonb NOT NULL,
            attempts integer NOT NULL DEFAULT 0,
            due_at timestamptz NOT NULL DEFAULT now(),
            leased_until timestamptz,
            provider_id text,
            last_error text,
            created_at timestamptz NOT NULL DEFAULT now(),
            sent_at timestamptz,
            CONSTRAINT pk_outbox PRIMARY KEY (id),
            CONSTRAINT uq_outbox_incident_id_transition_recipient UNIQUE (incident_id, transition, recipient),
            CONSTRAINT ck_outbox_state CHECK (state IN ('due', 'sent', 'dead', 'not_configured'))
        );
        CREATE INDEX ix_outbox_due ON evalops.outbox (due_at) WHERE state = 'due';

        ALTER TABLE evalops.verdicts DROP COLUMN incident_id, DROP COLUMN why;
        DROP INDEX evalops.ix_incidents_feature_id;
        ALTER TABLE evalops.incidents
            DROP CONSTRAINT ck_incidents_kind,
            DROP COLUMN reference_run_id,
            DROP COLUMN resolved_by_run_id,
            DROP COLUMN current_score,
            DROP COLUMN lowest_score,
            DROP COLUMN acknowledged_by,
            DROP COLUMN reminded_at,
            DROP COLUMN resolution,
            DROP COLUMN reason,
            DROP COLUMN closed_by,
            ADD COLUMN details jsonb NOT NULL DEFAULT '{}'::jsonb;
        DROP INDEX evalops.ix_eval_runs_unchecked, evalops.ix_eval_runs_valid;
        ALTER TABLE evalops.eval_runs DROP COLUMN checked_at;
    """)
