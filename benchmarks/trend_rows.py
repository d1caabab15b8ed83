"""Two years of hourly runs, made by the database itself.

What belongs here: filling the tables that the trend reads. What does not: measuring (trend).
"""

from sqlalchemy import Engine, text

FEATURES = 50
HOURS = 2 * 365 * 24

# In the order of time, as runs come: the rows of one feature lie far apart in the table. One run in a hundred is
# invalid, the prompt changes every 90 days, the model every 200, the judge once; a run by hand a day besides.
_RUNS = text("""
    INSERT INTO evalops.eval_runs (feature, window_start, window_end, partition_key, run_type, status, comparability,
        comparability_key, plan_key, weights, model_id, judge_model_id, score, se, n, n_unscored, coverage, breakdown,
        git_sha, prompt_tokens, completion_tokens, cost_usd, dagster_run_id, created_at, finished_at, checked_at)
    SELECT 'feature-' || to_char(f, 'FM00'), at, at + interval '1 hour', to_char(at, 'YYYY-MM-DD-HH24:MI'), run_type,
        status, key, md5(key::text), md5(key::text), '{"judge.quality": 1.0}', key ->> 'model', key ->> 'judge',
        CASE WHEN status = 'completed' THEN round((3.9 + 0.3 * sin(hour / 500.0) + 0.2 * random())::numeric, 3) END,
        0.0421, 60, 0, 1, '{"judge.quality": 3.914}', '0123456789ab', 61234, 10321, 0.0123456, gen_random_uuid()::text,
        at + interval '5 min', at + interval '9 min', at + interval '10 min'
    FROM generate_series(0, :hours - 1) AS hour
    CROSS JOIN generate_series(1, :features) AS f
    CROSS JOIN LATERAL (SELECT '2024-01-01 00:00+00'::timestamptz + hour * interval '1 hour' AS at) AS window_
    CROSS JOIN LATERAL (
        SELECT 'scheduled' AS run_type, CASE WHEN (hour * 7 + f) % 100 = 0 THEN 'invalid' ELSE 'completed' END AS status
        UNION ALL SELECT 'manual', 'completed' WHERE hour % 24 = 9
    ) AS kind
    CROSS JOIN LATERAL (
        SELECT jsonb_build_object('dataset', md5('d' || f), 'prompt', md5('p' || f || hour / 2160),
            'scorers', md5('s'), 'model', 'vendor/model-' || hour / 4800, 'parameters', '{"temperature": 0.0}'::jsonb,
            'judge', 'vendor/judge-' || hour / 9000, 'judge_parameters', '{}'::jsonb, 'repeats', 1, 'cases', null
        ) AS key
    ) AS measured
    ORDER BY hour, f
""")
_VERDICTS = text("""
    INSERT INTO evalops.verdicts
        (eval_run_id, baseline_run_id, outcome, rule, prior_score, current_score, drop, details)
    SELECT id, before, CASE WHEN before IS NULL THEN 'no_baseline' ELSE 'stable' END, 'history', prior, score,
        prior - score, '{"p": 0.31, "df": 412.0, "n": 60}'
    FROM (
        SELECT id, score, lag(id) OVER earlier AS before, lag(score) OVER earlier AS prior
        FROM evalops.eval_runs WHERE run_type = 'scheduled' AND status = 'completed'
        WINDOW earlier AS (PARTITION BY feature ORDER BY window_start)
    ) AS judged
    ORDER BY id
""")


def fill(engine: Engine, hours: int) -> int:
    """`hours` windows of each of `FEATURES` features, with their verdicts; the rows of `eval_runs` there are then."""
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))  # the ids are known to be there
        connection.execute(_RUNS, {"hours": hours, "features": FEATURES})
        connection.execute(_VERDICTS)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE evalops.eval_runs, evalops.verdicts"))
        return connection.execute(text("SELECT count(*) FROM evalops.eval_runs")).scalar_one()
