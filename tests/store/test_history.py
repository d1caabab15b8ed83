import re
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text

from evalops_core.domain.eval_run import EvalRun
from evalops_core.store.history import trend, trend_query
from evalops_core.store.runs import EvalRuns
from tests.store.rows import NOW, START, finished, started


def scored(
    runs: EvalRuns, scores: Sequence[str], *, feature: str = "explain", model: str = "small-2025", first_day: int = 0
) -> list[EvalRun]:
    return [
        runs.finish(started(runs, feature, day=first_day + day).id, finished(score=score, model=model))
        for day, score in enumerate(scores)
    ]


@pytest.fixture
def runs(engine: Engine) -> EvalRuns:
    return EvalRuns(engine)


def test_a_trend_has_its_newest_window_first_and_each_change(engine: Engine, runs: EvalRuns) -> None:
    made = scored(runs, ["4.2", "3.6", "3.9"])
    found = trend(engine, feature="explain")
    assert [row.eval_run_id for row in found] == [run.id for run in made[::-1]]
    assert [row.delta for row in found] == [Decimal("0.300"), Decimal("-0.600"), None]


def test_a_trend_row_says_what_its_run_says(engine: Engine, runs: EvalRuns) -> None:
    (run,) = scored(runs, ["4.9"])
    (row,) = trend(engine)
    for name in ("feature", "model_id", "partition_key", "window_start", "window_end", "score", "se", "n", "n_unscored",
                 "coverage", "cost_usd", "git_sha", "created_at", "finished_at"):  # fmt: skip
        assert getattr(row, name) == getattr(run, name)
    assert row.comparability_key == run.comparability.digest
    assert (row.ci_low, row.ci_high) == (Decimal("4.704"), Decimal("5.000"))  # 4.9 ± 1.96 × 0.1, kept within the scale


def test_only_scheduled_and_completed_runs_are_in_the_trend(engine: Engine, runs: EvalRuns) -> None:
    (first,) = scored(runs, ["4.0"])
    runs.finish(started(runs, day=1).id, finished("partial", score="3.0"))
    runs.finish(started(runs, day=2).id, finished("invalid", score="3.0"))
    runs.fail(started(runs, day=3).id, "killed", NOW)
    runs.finish(started(runs, day=4, run_type="manual").id, finished(score="3.0"))
    started(runs, day=5)
    (last,) = scored(runs, ["4.5"], first_day=6)
    found = trend(engine, feature="explain")
    assert [row.eval_run_id for row in found] == [last.id, first.id]
    assert found[0].delta == Decimal("0.500")


def test_a_change_is_of_one_feature_and_one_model(engine: Engine, runs: EvalRuns) -> None:
    scored(runs, ["4.0"])
    scored(runs, ["2.0"], first_day=1, model="large")
    scored(runs, ["3.0"], first_day=2)
    scored(runs, ["1.0", "1.5"], feature="translate")
    assert [row.delta for row in trend(engine, feature="explain")] == [Decimal("-1.000"), None, None]
    assert [row.delta for row in trend(engine, feature="explain", model="small-2025")] == [Decimal("-1.000"), None]
    assert [row.delta for row in trend(engine, feature="translate")] == [Decimal("0.500"), None]
    assert len(trend(engine)) == 5


def test_limit_and_since_cut_the_trend_and_not_the_changes_in_it(engine: Engine, runs: EvalRuns) -> None:
    scored(runs, ["4.0", "4.1", "4.3"])
    for found in (trend(engine, limit=1), trend(engine, since=START + timedelta(days=2))):
        assert [(row.score, row.delta) for row in found] == [(Decimal("4.300"), Decimal("0.200"))]


def test_a_features_trend_is_read_by_index(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(_TWENTY_THOUSAND))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE evalops.eval_runs"))
        query = trend_query(feature="feature-7", model=None, limit=100, since=None)
        literal = query.compile(engine, compile_kwargs={"literal_binds": True})
        plan = "\n".join(connection.execute(text(f"EXPLAIN {literal}")).scalars())
    assert len(trend(engine, feature="feature-7")) == 100
    assert re.search(r"Index Cond: .*feature = 'feature-7'", plan), plan
    assert "Seq Scan" not in plan, plan


_TWENTY_THOUSAND = """
    INSERT INTO evalops.eval_runs (feature, window_start, window_end, partition_key, run_type, status, comparability,
        comparability_key, plan_key, model_id, score, se, n, n_unscored, coverage, finished_at)
    SELECT 'feature-' || f, day, day + interval '1 day', to_char(day, 'YYYY-MM-DD'), 'scheduled', 'completed', '{}',
        'k', 'k', 'm', 4, 0.1, 40, 0, 1, day
    FROM generate_series(1, 20) AS f,
        generate_series('2022-01-01'::timestamptz, '2024-09-26'::timestamptz, interval '1 day') AS day
"""
