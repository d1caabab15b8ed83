"""Eval runs as teams had them, with their responses and scores."""

from alembic import op

revision = "0001_eval_runs"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE evalops.eval_runs (
            id bigint GENERATED ALWAYS AS IDENTITY,
            feature text NOT NULL,
            window_start timestamptz NOT NULL,
            window_end timestamptz NOT NULL,
            partition_key text NOT NULL,
            status text NOT NULL DEFAULT 'running',
            status_reason text,
            comparability jsonb NOT NULL,
            comparability_key text NOT NULL,
            plan_key text NOT NULL,
            model_id text,
            judge_model_id text,
            score numeric(6, 3),
            se numeric(6, 4),
            n integer,
            n_unscored integer,
            coverage double precision,
            breakdown jsonb NOT NULL DEFAULT '{}',
            git_sha text,
            prompt_tokens bigint,
            completion_tokens bigint,
            cost_usd numeric,
            dagster_run_id text,
            created_at timestamptz NOT NULL DEFAULT now(),
            finished_at timestamptz,
            CONSTRAINT pk_eval_runs PRIMARY KEY (id),
            CONSTRAINT ck_eval_runs_status
                CHECK (status IN ('running', 'completed', 'partial', 'invalid', 'failed')),
            CONSTRAINT ck_eval_runs_finished CHECK ((status = 'running') = (finished_at IS NULL)),
            CONSTRAINT ck_eval_runs_window CHECK (window_start < window_end),
            CONSTRAINT ck_eval_runs_score CHECK (score BETWEEN 1 AND 5),
            CONSTRAINT ck_eval_runs_se CHECK (se >= 0 AND se <> 'NaN'),
            CONSTRAINT ck_eval_runs_coverage CHECK (coverage BETWEEN 0 AND 1),
            CONSTRAINT ck_eval_runs_counts CHECK (n >= 0 AND n_unscored >= 0)
        );
        CREATE INDEX ix_eval_runs_window ON evalops.eval_runs (feature, partition_key, id);

        CREATE TABLE evalops.responses (
            eval_run_id bigint NOT NULL
                CONSTRAINT fk_responses_eval_run_id REFERENCES evalops.eval_runs (id) ON DELETE CASCADE,
            case_id text NOT NULL,
            repeat integer NOT NULL,
            text text,
            model text,
            finish_reason text,
            prompt_tokens integer,
            completion_tokens integer,
            cost_usd numeric,
            latency_s double precision,
            attempts integer NOT NULL DEFAULT 1,
            error_class text,
            error_text text,
            CONSTRAINT pk_responses PRIMARY KEY (eval_run_id, case_id, repeat),
            CONSTRAINT ck_responses_text_or_error CHECK ((text IS NULL) <> (error_class IS NULL))
        );

        CREATE TABLE evalops.scores (
            eval_run_id bigint NOT NULL
                CONSTRAINT fk_scores_eval_run_id REFERENCES evalops.eval_runs (id) ON DELETE CASCADE,
            case_id text NOT NULL,
            repeat integer NOT NULL,
            scorer text NOT NULL,
            axis text NOT NULL,
            value double precision,
            unscored_reason text,
            rationale text,
            model text,
            prompt_tokens integer,
            completion_tokens integer,
            cost_usd numeric,
            CONSTRAINT pk_scores PRIMARY KEY (eval_run_id, case_id, repeat, scorer, axis),
            CONSTRAINT ck_scores_value_or_reason CHECK ((value IS NULL) <> (unscored_reason IS NULL)),
            CONSTRAINT ck_scores_value CHECK (value BETWEEN 1 AND 5)
        );
    """)


def downgrade() -> None:
    op.execute("DROP TABLE evalops.scores, evalops.responses, evalops.eval_runs")
