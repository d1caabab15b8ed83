"""The trend's columns, in the database, in a frame and in files."""

import csv
import io
import json
from dataclasses import fields, replace
from decimal import Decimal

import pandas as pd
import pytest
from sqlalchemy import Engine, inspect, text

from evalops_core.store.runs import EvalRuns
from evalops_core.store.tables import SCHEMA
from evalops_core.trend.export import ENDINGS, FileFormat, exported
from evalops_core.trend.frame import COLUMNS, trend_frame
from evalops_core.trend.history import TrendRow, read_trend
from tests.store.rows import finished, started
from tests.trend.reading import READERS, plain, view

_DTYPES = {"timestamp": "datetime64[us, UTC]", "integer": "Int64", "bigint": "Int64", "double": "float64",
           "numeric": "float64", "text": "string"}  # fmt: skip


@pytest.fixture
def rows(engine: Engine) -> list[TrendRow]:
    """Two runs of a feature, one of another with what may be missing missing, newest first."""
    runs = EvalRuns(engine)
    for day, score in enumerate(["4.0", "4.2"]):
        runs.finish(started(runs, day=day).id, finished(score=score))
    bare = runs.finish(started(runs, "translate", day=2).id, replace(finished(score="5.0"), se=None, cost_usd=None))
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE evalops.eval_runs SET model_id = NULL, git_sha = NULL, coverage = NULL, n = NULL WHERE id = :id"
            ),
            {"id": bare.id},
        )
        connection.execute(
            text("""
            INSERT INTO evalops.verdicts (eval_run_id, baseline_run_id, outcome, prior_score)
            SELECT id, id - 1, 'stable', 4.0 FROM evalops.eval_runs WHERE score = 4.2
        """)
        )
    return read_trend(engine)


def test_the_columns_are_the_views_in_its_order(engine: Engine) -> None:
    view = [column["name"] for column in inspect(engine).get_columns("eval_trend", SCHEMA)]
    assert list(COLUMNS) == view == [field.name for field in fields(TrendRow)]


def test_a_frame_has_the_same_types_with_rows_and_without(engine: Engine, rows: list[TrendRow]) -> None:
    query = text("""
        SELECT column_name, split_part(data_type, ' ', 1) FROM information_schema.columns
        WHERE table_schema = 'evalops' AND table_name = 'eval_trend'
    """)
    with engine.connect() as connection:
        types = {name: _DTYPES[kind] for name, kind in connection.execute(query)}
    for frame in (trend_frame(rows), trend_frame([])):
        assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == types
    assert trend_frame([]).empty


def test_a_frame_has_the_rows_of_the_view_and_missing_is_missing(engine: Engine, rows: list[TrendRow]) -> None:
    assert plain(trend_frame(rows)) == view(engine)
    missing = plain(trend_frame(rows))[0]
    for name in ("model_id", "git_sha", "coverage", "n", "se", "ci_low", "ci_high", "delta", "cost_usd", "verdict"):
        assert missing[name] is None


@pytest.mark.parametrize("form", ENDINGS.values())
def test_every_file_has_the_rows_of_the_view(engine: Engine, rows: list[TrendRow], form: FileFormat) -> None:
    assert READERS[form](exported(rows, form)) == view(engine)
    assert READERS[form](exported([], form)) == []


def test_json_has_numbers_as_numbers_and_times_with_a_z(rows: list[TrendRow]) -> None:
    (bare, newest, _) = json.loads(exported(rows, "json"))
    assert (newest["score"], newest["cost_usd"], newest["window_start"]) == (
        4.2,
        0.000123456789,
        "2025-03-02T00:00:00Z",
    )
    assert newest["finished_at"] == "2025-06-01T12:30:15.123456Z"
    assert bare["se"] is None


def test_csv_has_the_databases_digits_and_nothing_for_what_is_missing(rows: list[TrendRow]) -> None:
    content = exported([replace(rows[1], cost_usd=Decimal("0.00000001"), feature='a "b", c'), rows[0]], "csv")
    lines = content.decode().splitlines()
    assert lines[0] == ",".join(COLUMNS)
    (first, second) = csv.DictReader(io.StringIO(content.decode()))
    assert (first["score"], first["cost_usd"], first["feature"]) == ("4.200", "0.00000001", 'a "b", c')
    assert (first["finished_at"], second["se"]) == ("2025-06-01T12:30:15.123456Z", "")


def test_parquet_keeps_the_types(rows: list[TrendRow]) -> None:
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(exported(rows, "parquet"))), trend_frame(rows))
