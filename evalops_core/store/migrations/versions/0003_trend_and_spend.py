"""The trend, the ledger of paid calls, and the day this deployment was installed."""

from alembic import op

revision = "0003_trend_and_spend"
down_revision = "0002_add_eval_run_type"


def upgrade() -> None:
    op.execute("""
        CREATE VIEW evalops.eval_trend AS
            SELECT id AS eval_run_id, feature, model_id, judge_model_id, partition_key, window_start, window_end,
                score, se,
                round(greatest(1, score - 1.959963984540054 * se), 3) AS ci_low,
                round(least(5, score + 1.959963984540054 * se), 3) AS ci_high,
                score - lag(score) OVER (PARTITION BY feature, model_id ORDER BY window_start, id) AS delta,
                n, n_unscored, coverage, cost_usd, git_sha, comparability_key, created_at, finished_at
            FROM evalops.eval_runs
            WHERE run_type = 'scheduled' AND status = 'completed';

        CREATE TABLE evalops.spend (
            id bigint GENERATED ALWAYS AS IDENTITY,
            feature text NOT NULL,
            purpose text NOT NULL,
            model text NOT NULL,
            day date NOT NULL,
            eval_run_id bigint
                CONSTRAINT fk_spend_eval_run_id REFERENCES evalops.eval_runs (id) ON DELETE SET NULL,
            reserved_usd numeric,
            settled_usd numeric,
            prompt_tokens bigint,
            completion_tokens bigint,
            created_at timestamptz NOT NULL DEFAULT now(),
            settled_at timestamptz,
            CONSTRAINT pk_spend PRIMARY KEY (id),
            CONSTRAINT ck_spend_reserved CHECK (reserved_usd >= 0 AND reserved_usd <> 'NaN'),
            CONSTRAINT ck_spend_settled CHECK (settled_usd >= 0 AND settled_usd <> 'NaN')
        );
        CREATE INDEX ix_spend_day ON evalops.spend (day, purpose, feature);
        CREATE INDEX ix_spend_eval_run_id ON evalops.spend (eval_run_id);

        CREATE TABLE evalops.deployment (
            key text NOT NULL,
            value text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT pk_deployment PRIMARY KEY (key)
        );
        INSERT INTO evalops.deployment (key, value)
            VALUES ('installed_at', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24":"MI":"SS"+00"'));
    """)


def downgrade() -> None:
    op.execute("DROP VIEW evalops.eval_trend; DROP TABLE evalops.spend, evalops.deployment")
