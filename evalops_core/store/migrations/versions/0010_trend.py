"""The trend with verdict, reference, mean and what changed; its rows are found by index, however many there are."""

from alembic import op

revision = "0010_trend"
down_revision = "0009_statistics"

# Window functions would read a feature's whole history for its newest hundred rows, so each row looks for the few
# before it: of the same feature, and (for changes and means of scores) of the same model. Each look-up gives one row
# whatever it finds, so that the planner leaves out those whose columns nobody asks for. `greatest` and `least` pass
# over what is missing, and an interval of 1 to 5 would be made of it.
_VIEW = """
    CREATE VIEW evalops.eval_trend AS
        SELECT run.id AS eval_run_id, run.feature, run.model_id, run.judge_model_id, run.partition_key,
            run.window_start, run.window_end, run.score, run.se,
            CASE WHEN run.score + run.se IS NOT NULL
                THEN round(greatest(1, run.score - 1.959963984540054 * run.se), 3) END AS ci_low,
            CASE WHEN run.score + run.se IS NOT NULL
                THEN round(least(5, run.score + 1.959963984540054 * run.se), 3) END AS ci_high,
            run.n, run.n_unscored, run.coverage,
            run.score - alike.prior AS delta, alike.mean_7,
            judged.baseline_run_id, judged.prior_score AS reference, judged.outcome AS verdict, judged.incident_id,
            changed.names AS changed,
            run.cost_usd, run.git_sha, run.comparability_key, run.created_at, run.finished_at
        FROM evalops.eval_runs AS run
        LEFT JOIN evalops.verdicts AS judged ON judged.eval_run_id = run.id
        LEFT JOIN LATERAL (
            SELECT round(avg(score) FILTER (WHERE comparability_key = run.comparability_key), 3) AS mean_7,
                max(score) FILTER (WHERE place = 2) AS prior
            FROM (
                SELECT score, comparability_key, row_number() OVER (ORDER BY window_start DESC, id DESC) AS place
                FROM evalops.eval_runs
                WHERE run_type = 'scheduled' AND status = 'completed' AND feature = run.feature
                    AND coalesce(model_id, '') = coalesce(run.model_id, '')
                    AND (window_start, id) <= (run.window_start, run.id)
                ORDER BY window_start DESC, id DESC
                LIMIT 7
            ) AS seven
        ) AS alike ON true
        LEFT JOIN LATERAL (
            SELECT string_agg(part.key, ', ' ORDER BY part.key) AS names
            FROM (
                SELECT comparability, comparability_key FROM evalops.eval_runs
                WHERE run_type = 'scheduled' AND status = 'completed' AND feature = run.feature
                    AND (window_start, id) < (run.window_start, run.id)
                ORDER BY window_start DESC, id DESC
                LIMIT 1
            ) AS before
            CROSS JOIN jsonb_each(run.comparability) AS part
            WHERE before.comparability_key <> run.comparability_key
                AND part.value IS DISTINCT FROM before.comparability -> part.key
        ) AS changed ON true
        WHERE run.run_type = 'scheduled' AND run.status = 'completed'
"""
_VIEW_BEFORE = """
    CREATE VIEW evalops.eval_trend AS
        SELECT id AS eval_run_id, feature, model_id, judge_model_id, partition_key, window_start, window_end,
            score, se,
            round(greatest(1, score - 1.959963984540054 * se), 3) AS ci_low,
            round(least(5, score + 1.959963984540054 * se), 3) AS ci_high,
            score - lag(score) OVER (PARTITION BY feature, model_id ORDER BY window_start, id) AS delta,
            n, n_unscored, coverage, cost_usd, git_sha, comparability_key, created_at, finished_at
        FROM evalops.eval_runs
        WHERE run_type = 'scheduled' AND status = 'completed'
"""


def upgrade() -> None:
    # The statistics are there because the planner heeds none of a partial index: it would take a model's runs for a
    # handful, and sort them all for each row anew.
    op.execute(f"""
        DROP VIEW evalops.eval_trend;
        DROP INDEX evalops.ix_eval_runs_valid;
        CREATE INDEX ix_eval_runs_trend ON evalops.eval_runs (feature, window_start DESC, id DESC)
            WHERE run_type = 'scheduled' AND status = 'completed';
        CREATE INDEX ix_eval_runs_trend_model
            ON evalops.eval_runs (feature, coalesce(model_id, ''), window_start DESC, id DESC)
            WHERE run_type = 'scheduled' AND status = 'completed';
        CREATE STATISTICS evalops.st_eval_runs_model ON (coalesce(model_id, '')) FROM evalops.eval_runs;
        CREATE INDEX ix_eval_runs_trend_of_model
            ON evalops.eval_runs (coalesce(model_id, ''), window_start DESC, id DESC)
            WHERE run_type = 'scheduled' AND status = 'completed';
        CREATE INDEX ix_eval_runs_trend_all ON evalops.eval_runs (window_start DESC, id DESC)
            WHERE run_type = 'scheduled' AND status = 'completed';
        {_VIEW};
    """)


def downgrade() -> None:
    op.execute(f"""
        DROP VIEW evalops.eval_trend;
        DROP INDEX evalops.ix_eval_runs_trend, evalops.ix_eval_runs_trend_model, evalops.ix_eval_runs_trend_of_model,
            evalops.ix_eval_runs_trend_all;
        DROP STATISTICS evalops.st_eval_runs_model;
        CREATE INDEX ix_eval_runs_valid ON evalops.eval_runs (feature, model_id, window_start DESC)
            WHERE run_type = 'scheduled' AND status = 'completed';
        {_VIEW_BEFORE};
    """)
