"""Baselines, verdicts, incidents and the outbox of their messages."""

from alembic import op

revision = "0004_alerts"
down_revision = "0003_trend_and_spend"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE evalops.baselines (
            id bigint GENERATED ALWAYS AS IDENTITY,
            feature text NOT NULL,
            eval_run_id bigint NOT NULL
                CONSTRAINT fk_baselines_eval_run_id REFERENCES evalops.eval_runs (id) ON DELETE CASCADE,
            reason text NOT NULL,
            pinned_by text,
            pinned_at timestamptz NOT NULL DEFAULT now(),
            unpinned_at timestamptz,
            CONSTRAINT pk_baselines PRIMARY KEY (id)
        );
        CREATE INDEX ix_baselines_eval_run_id ON evalops.baselines (eval_run_id);
        CREATE UNIQUE INDEX uq_baselines_pinned ON evalops.baselines (feature) WHERE unpinned_at IS NULL;

        CREATE TABLE evalops.verdicts (
            id bigint GENERATED ALWAYS AS IDENTITY,
            eval_run_id bigint NOT NULL
                CONSTRAINT fk_verdicts_eval_run_id REFERENCES evalops.eval_runs (id) ON DELETE CASCADE,
            baseline_run_id bigint
                CONSTRAINT fk_verdicts_baseline_run_id REFERENCES evalops.eval_runs (id) ON DELETE SET NULL,
            outcome text NOT NULL,
            severity text NOT NULL DEFAULT 'none',
            rule text,
            prior_score numeric(6, 3),
            current_score numeric(6, 3),
            drop numeric(6, 3),
            details jsonb NOT NULL DEFAULT '{}',
            created_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT pk_verdicts PRIMARY KEY (id),
            CONSTRAINT uq_verdicts_eval_run_id UNIQUE (eval_run_id),
            CONSTRAINT ck_verdicts_outcome CHECK (outcome IN
                ('regressed', 'stable', 'improved', 'inconclusive', 'no_baseline', 'not_comparable')),
            CONSTRAINT ck_verdicts_severity CHECK (severity IN ('none', 'warn', 'page'))
        );
        CREATE INDEX ix_verdicts_baseline_run_id ON evalops.verdicts (baseline_run_id);

        CREATE TABLE evalops.incidents (
            id bigint GENERATED ALWAYS AS IDENTITY,
            fingerprint text NOT NULL,
            kind text NOT NULL,
            feature text NOT NULL,
            model_id text,
            state text NOT NULL DEFAULT 'firing',
            opened_by_run_id bigint
                CONSTRAINT fk_incidents_opened_by_run_id REFERENCES evalops.eval_runs (id) ON DELETE SET NULL,
            reference_score numeric(6, 3),
            details jsonb NOT NULL DEFAULT '{}',
            opened_at timestamptz NOT NULL DEFAULT now(),
            acknowledged_at timestamptz,
            silenced_until timestamptz,
            resolved_at timestamptz,
            CONSTRAINT pk_incidents PRIMARY KEY (id),
            CONSTRAINT ck_incidents_state CHECK (state IN ('firing', 'silenced', 'resolved')),
            CONSTRAINT ck_incidents_resolved CHECK ((state = 'resolved') = (resolved_at IS NOT NULL))
        );
        CREATE INDEX ix_incidents_opened_by_run_id ON evalops.incidents (opened_by_run_id);
        CREATE UNIQUE INDEX uq_incidents_open ON evalops.incidents (fingerprint) WHERE resolved_at IS NULL;

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
    """)


def downgrade() -> None:
    op.execute("DROP TABLE evalops.outbox, evalops.incidents, evalops.verdicts, evalops.baselines")
