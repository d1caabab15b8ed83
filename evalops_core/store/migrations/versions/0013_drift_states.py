"""What is decided of a feature's day, the embeddings it is decided by, and indexes for samples and old traces."""

from alembic import op

revision = "0013_drift_states"
down_revision = "0012_dagster_runs"


def upgrade() -> None:
    op.execute("""
        DROP INDEX evalops.ix_llm_traces_sample;
        CREATE INDEX ix_llm_traces_sample ON evalops.llm_traces (feature, created_at DESC, id DESC)
            WHERE error IS NULL;
        CREATE INDEX ix_llm_traces_created_at ON evalops.llm_traces (created_at);

        DELETE FROM evalops.drift_centroids;
        ALTER TABLE evalops.drift_centroids
            ADD COLUMN rule text,
            ADD COLUMN alpha double precision,
            ADD COLUMN streak integer NOT NULL DEFAULT 0,
            ADD COLUMN baseline_days date[] NOT NULL DEFAULT '{}'::date[],
            ADD COLUMN farthest jsonb NOT NULL DEFAULT '[]'::jsonb,
            ADD COLUMN why text NOT NULL DEFAULT '',
            ADD COLUMN decided_at timestamptz,
            ADD COLUMN incident_id bigint,
            ADD CONSTRAINT ck_drift_centroids_rule CHECK (rule IN ('fixed', 'auto')),
            ADD CONSTRAINT ck_drift_centroids_streak CHECK (streak >= 0),
            ADD CONSTRAINT ck_drift_centroids_decided CHECK ((state IS NULL) = (decided_at IS NULL)),
            ADD CONSTRAINT fk_drift_centroids_incident_id
                FOREIGN KEY (incident_id) REFERENCES evalops.incidents (id) ON DELETE SET NULL;
        CREATE INDEX ix_drift_centroids_incident_id ON evalops.drift_centroids (incident_id);

        CREATE TABLE evalops.drift_samples (
            centroid_id bigint NOT NULL,
            trace_id text NOT NULL,
            vector bytea NOT NULL,
            CONSTRAINT pk_drift_samples PRIMARY KEY (centroid_id, trace_id),
            CONSTRAINT fk_drift_samples_centroid_id
                FOREIGN KEY (centroid_id) REFERENCES evalops.drift_centroids (id) ON DELETE CASCADE
        );
    """)


def downgrade() -> None:
    op.execute("""
        DROP TABLE evalops.drift_samples;
        ALTER TABLE evalops.drift_centroids
            DROP COLUMN rule, DROP COLUMN alpha, DROP COLUMN streak, DROP COLUMN baseline_days, DROP COLUMN farthest,
            DROP COLUMN why, DROP COLUMN decided_at, DROP COLUMN incident_id;
        DROP INDEX evalops.ix_llm_traces_created_at, evalops.ix_llm_traces_sample;
        CREATE INDEX ix_llm_traces_sample ON evalops.llm_traces (feature, created_at DESC) WHERE error IS NULL;
    """)
