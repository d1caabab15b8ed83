from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, Select, TextClause, text

from evalops_core.domain.eval_run import EvalRun
from evalops_core.postgres.server import Started
from evalops_core.store.engine import make_engine
from evalops_core.store.history import newest_of_each, newest_query, trend, trend_query
from evalops_core.store.runs import EvalRuns
from tests.conftest import new_database
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


def test_a_mean_is_of_the_last_seven_runs_of_a_model_that_are_measured_alike(engine: Engine, runs: EvalRuns) -> None:
    scored(runs, ["1.0", "4.0", "4.1", "4.2", "4.3", "4.4", "4.5", "4.6"])
    scored(runs, ["2.0"], first_day=8, model="large")
    means = [row.mean_7 for row in trend(engine, feature="explain", model="small-2025")]
    assert means[0] == Decimal("4.3")  # without the first of the eight
    assert means[-2:] == [Decimal("2.5"), Decimal("1.0")]
    with engine.begin() as connection:
        connection.execute(text("UPDATE evalops.eval_runs SET comparability_key = 'new' WHERE score IN (4.5, 4.6)"))
    assert trend(engine, feature="explain", model="small-2025", limit=1)[0].mean_7 == Decimal("4.55")


def test_a_row_names_what_changed_since_the_run_before_and_nothing_else(engine: Engine, runs: EvalRuns) -> None:
    scored(runs, ["4.0", "4.1"])
    scored(runs, ["4.2"], first_day=2, model="large")
    scored(runs, ["4.3"], first_day=3, model="large")
    with engine.begin() as connection:
        connection.execute(
            text("""
            UPDATE evalops.eval_runs SET comparability_key = 'new',
                comparability = comparability || '{"prompt": "p2", "judge": "j"}'
            WHERE score = 4.3
        """)
        )
    assert [row.changed for row in trend(engine)] == ["judge, prompt", "model", None, None]


def test_a_row_says_how_its_run_was_judged(engine: Engine, runs: EvalRuns) -> None:
    before, after = scored(runs, ["4.2", "3.6"])
    with engine.begin() as connection:
        incident = connection.execute(
            text("""
            INSERT INTO evalops.incidents (fingerprint, kind, feature) VALUES ('f', 'regression', 'explain')
            RETURNING id
        """)
        ).scalar_one()
        connection.execute(
            text("""
                INSERT INTO evalops.verdicts (eval_run_id, baseline_run_id, outcome, prior_score, incident_id)
                VALUES (:after, :before, 'regressed', 4.2, :incident)
            """),
            {"after": after.id, "before": before.id, "incident": incident},
        )
    judged, unjudged = trend(engine)
    assert (judged.verdict, judged.reference, judged.baseline_run_id, judged.incident_id) == (
        "regressed", Decimal("4.200"), before.id, incident,
    )  # fmt: skip
    assert (unjudged.verdict, unjudged.reference, unjudged.baseline_run_id, unjudged.incident_id) == (None,) * 4


def test_the_runs_whose_endpoint_names_no_model_can_be_asked_for(engine: Engine, runs: EvalRuns) -> None:
    (nameless, _) = scored(runs, ["4.0", "4.1"])
    with engine.begin() as connection:
        connection.execute(text("UPDATE evalops.eval_runs SET model_id = NULL WHERE score = 4.0"))
    assert [row.eval_run_id for row in trend(engine, model="")] == [nameless.id]


def test_the_newest_of_each_feature_are_by_name_and_newest_first(engine: Engine, runs: EvalRuns) -> None:
    translate, explain = scored(runs, ["1.0", "1.5", "2.0"], feature="translate"), scored(runs, ["4.0", "4.1"])
    runs.finish(started(runs, "by_hand", run_type="manual").id, finished())
    newest = [row.eval_run_id for row in newest_of_each(engine, 2)]
    assert newest == [run.id for run in (explain[1], explain[0], translate[2], translate[1])]
    assert [row.delta for row in newest_of_each(engine, 1)] == [Decimal("0.100"), Decimal("0.500")]


def test_the_newest_can_be_of_features_that_are_named(engine: Engine, runs: EvalRuns) -> None:
    assert newest_of_each(engine, 5) == newest_of_each(engine, 5, ["explain"]) == []
    scored(runs, ["4.0", "4.1"])
    scored(runs, ["1.0"], feature="translate")
    assert newest_of_each(engine, 9, ["translate", "nobody", "translate"]) == trend(engine, feature="translate")
    assert newest_of_each(engine, 9, []) == []


@pytest.fixture(scope="module")
def long_history(postgres: Started, template_database: str) -> Iterator[Engine]:
    """1,000 days of 20 features, each run with its verdict; the model has been another for the last 400."""
    for url in new_database(postgres, template_database):
        engine = make_engine(url)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(_TWENTY_THOUSAND))
            connection.execute(text("ANALYZE evalops.eval_runs, evalops.verdicts"))
        yield engine
        engine.dispose()


@pytest.mark.parametrize(
    ("asked", "index", "condition"),
    [
        ({"feature": "feature-7"}, "ix_eval_runs_trend", "(feature = 'feature-7'::text)"),
        ({"feature": "feature-7", "model": "old"}, "ix_eval_runs_trend_model", "'old'"),
        ({"feature": "feature-7", "model": "nobody"}, "ix_eval_runs_trend_of_model", "'nobody'"),  # it has fewer runs
        ({"model": "old"}, "ix_eval_runs_trend_of_model", "'old'"),
        ({"model": "nobody"}, "ix_eval_runs_trend_of_model", "'nobody'"),
        ({}, "ix_eval_runs_trend_all", None),
        ({"since": datetime(2022, 2, 1, tzinfo=timezone.utc)}, "ix_eval_runs_trend_all", "window_start >="),
        ({"until": datetime(2022, 6, 1, tzinfo=timezone.utc)}, "ix_eval_runs_trend_all", "window_start <="),
        (
            {"feature": "feature-7", "until": datetime(2023, 2, 1, tzinfo=timezone.utc)},
            "ix_eval_runs_trend",
            "window_start <=",
        ),
    ],
)
def test_a_trend_is_read_by_index_and_no_further_than_asked_for(
    long_history: Engine, asked: dict[str, Any], index: str, condition: str | None
) -> None:
    everything: dict[str, Any] = {"feature": None, "model": None, "limit": 100, "since": None}
    plan = examined(long_history, trend_query(**everything | asked))
    (rows,) = [scan for scan in scans(plan) if scan.get("Alias") == "run"]
    assert rows["Index Name"] == index
    assert condition is None or condition in rows["Index Cond"]
    assert not [scan for scan in scans(plan) if "Seq Scan" in scan["Node Type"]]
    assert rows_read(plan) <= 100 * _LOOKED_AT
    assert plan["Actual Rows"] == (0 if asked.get("model") == "nobody" else 100)


@pytest.mark.parametrize("features", [None, ["feature-7", "feature-8", "nobody"]])
def test_the_newest_of_each_feature_are_read_by_index_and_no_further(
    long_history: Engine, features: list[str] | None
) -> None:
    plan = examined(long_history, newest_query(10, features))
    there = 20 if features is None else 2
    assert plan["Actual Rows"] == there * 10
    assert not [scan for scan in scans(plan) if "Seq Scan" in scan["Node Type"]]
    assert {scan["Index Name"] for scan in scans(plan) if scan.get("Alias") == "run"} == {"ix_eval_runs_trend"}
    names = 0 if features is not None else there + 1  # one look for each, and one that finds no more
    assert there * 10 < rows_read(plan) <= there * 10 * _LOOKED_AT + names


def test_columns_that_nobody_asks_for_are_not_looked_up(long_history: Engine) -> None:
    plan = examined(
        long_history, text("SELECT window_start, score FROM evalops.eval_trend WHERE feature = 'feature-7'")
    )
    assert [scan["Alias"] for scan in scans(plan) if "Relation Name" in scan] == ["run"]


_LOOKED_AT = 10  # rows for each that is shown: itself, its verdict, seven for the mean, one for what changed


def examined(engine: Engine, query: Select[Any] | TextClause) -> dict[str, Any]:
    """The statement's plan with what each node really did."""
    literal = query.compile(engine, compile_kwargs={"literal_binds": True})
    with engine.connect() as connection:
        (document,) = connection.execute(text(f"EXPLAIN (ANALYZE, FORMAT JSON) {literal}")).scalar_one()
    return document["Plan"]


def scans(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Every node that reads something, wherever it stands in the plan."""
    below = [scan for part in plan.get("Plans", []) for scan in scans(part)]
    return [plan, *below] if "Scan" in plan["Node Type"] else below


def rows_read(plan: dict[str, Any]) -> int:
    """Of tables, those included that a filter threw away."""
    tables = [scan for scan in scans(plan) if "Relation Name" in scan]
    return round(
        sum((scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0)) * scan["Actual Loops"] for scan in tables)
    )


_TWENTY_THOUSAND = """
    INSERT INTO evalops.eval_runs (feature, window_start, window_end, partition_key, run_type, status, comparability,
        comparability_key, plan_key, model_id, score, se, n, n_unscored, coverage, finished_at)
    SELECT 'feature-' || f, day, day + interval '1 day', to_char(day, 'YYYY-MM-DD'), 'scheduled', 'completed', '{}',
        'k', 'k', CASE WHEN day < '2023-08-24' THEN 'old' ELSE 'new' END, 4, 0.1, 40, 0, 1, day
    FROM generate_series('2022-01-01'::timestamptz, '2024-09-26'::timestamptz, interval '1 day') AS day,
        generate_series(1, 20) AS f
    ORDER BY day;
    INSERT INTO evalops.verdicts (eval_run_id, outcome) SELECT id, 'stable' FROM evalops.eval_runs
"""
