"""Traces of production and the centroids of what was asked."""

from alembic import op

revision = "0005_drift"
down_revision = "0004_alerts"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE evalops.llm_traces (
            id text NOT NULL,
            feature text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            messages jsonb NOT NULL,
            model text,
            error text,
            CONSTRAINT pk_llm_traces PRIMARY KEY (id)
        );
        CREATE INDEX ix_llm_traces_sample ON evalops.llm_traces (feature, created_at DESC) WHERE error IS NULL;

        CREATE TABLE evalops.drift_centroids (
            id bigint GENERATED ALWAYS AS IDENTITY,
            feature text NOT NULL,
            day date NOT NULL,
            embedding_model text NOT NULL,
            centroid double precision[],
            n integer NOT NULL,
            n_malformed integer NOT NULL DEFAULT 0,
            state text,
            drift double precision,
            threshold double precision,
            created_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT pk_drift_centroids PRIMARY KEY (id),
            CONSTRAINT uq_drift_centroids_feature_day_embedding_model UNIQUE (feature, day, embedding_model),
            CONSTRAINT ck_drift_centroids_state
                CHECK (state IN ('baseline', 'ok', 'warning', 'alerting', 'insufficient')),
            CONSTRAINT ck_drift_centroids_drift CHECK (drift BETWEEN 0 AND 2)
        );
    """)


def downgrade() -> None:
    op.execute("DROP TABLE evalops.drift_centroids, evalops.llm_traces")
