"""The trend's assets, materialized for real: what they hold, what they show, and what never enters."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest
from sqlalchemy import Engine

from evalops_core.domain.suite import Suite
from evalops_core.trend.columns import COLUMNS
from evalops_core.wiring import Workshop
from evalops_dagster.definitions import build_definitions
from evalops_dagster.trend import RUNS, TREND
from tests.builders import make_suite
from tests.run.scored import START, Scored

_CASES = {"one": ("an answer", 4.0), "two": ("another", 4.2)}


@pytest.fixture
def suites(tmp_path: Path) -> Mapping[str, Suite]:
    return {
        feature: make_suite(tmp_path / "suites", "http://127.0.0.1:9/v1", feature=feature, cases=2)
        for feature in ("explain", "extract")
    }


@pytest.fixture
def history(engine: Engine) -> None:
    """Of two features, one of which has no suite any more; with runs of every kind that must not enter."""
    scored = Scored(engine)
    scored.runs(["4.200", "4.100"])
    scored.run(2, "1.000", run_type="manual")
    scored.run(3, None, status="invalid")
    scored.run(4, "1.000", status="partial")
    scored.run(5, "1.000", status="failed")
    scored.run(6, "3.900", key={"judge": "another"})
    scored.run(0, "2.500", feature="retired")


def run(
    suites: Mapping[str, Suite], workshop: Workshop, instance: dg.DagsterInstance, *keys: dg.AssetKey, own: Any = None
) -> dg.ExecuteInProcessResult:
    """Those assets, `own` being a user's that is defined beside them."""
    definitions = build_definitions(suites=suites, since=START, workshop=workshop)
    if own is not None:
        definitions = dg.Definitions.merge(definitions, dg.Definitions(assets=[own]))
    job = dg.define_asset_job("looked_at", selection=dg.AssetSelection.assets(*keys).without_checks())
    definitions = dg.Definitions.merge(definitions, dg.Definitions(jobs=[job]))
    return definitions.resolve_job_def("looked_at").execute_in_process(instance=instance)


def shown(result: dg.ExecuteInProcessResult, key: dg.AssetKey) -> Mapping[str, dg.MetadataValue[Any]]:
    (event,) = [event for event in result.all_events if event.is_step_materialization and event.asset_key == key]
    return event.materialization.metadata


def view(engine: Engine) -> pd.DataFrame:
    """What anybody sees who asks the database."""
    with engine.connect() as connection:
        return pd.read_sql("SELECT * FROM evalops.eval_trend ORDER BY feature, window_start DESC", connection)


@pytest.mark.usefixtures("history")
def test_the_asset_is_the_view_s_rows_as_a_frame_and_none_of_what_must_not_enter(
    suites: Mapping[str, Suite], workshop: Workshop, instance: dg.DagsterInstance, engine: Engine
) -> None:
    frame = run(suites, workshop, instance, TREND).output_for_node("eval_trend")
    assert list(frame["eval_run_id"]) == [7, 2, 1, 8]
    expected = view(engine)
    assert list(frame.columns) == list(expected.columns) == list(COLUMNS)
    for name in frame.columns:
        theirs = expected[name].astype(frame[name].dtype)
        pd.testing.assert_series_equal(frame[name], theirs)


@pytest.mark.usefixtures("history")
def test_a_user_s_own_asset_takes_the_trend_as_its_input(
    suites: Mapping[str, Suite], workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    @dg.asset
    def worst(eval_trend: pd.DataFrame) -> float:
        return float(eval_trend["score"].min())

    result = run(suites, workshop, instance, worst.key, own=worst)
    assert result.output_for_node("worst") == 2.5, "read from the database, though nothing was materialized"


@pytest.mark.usefixtures("history")
def test_each_feature_has_a_picture_that_is_shown_in_place_and_a_number_that_is_plotted(
    suites: Mapping[str, Suite], workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    facts = shown(run(suites, workshop, instance, TREND), TREND)
    for name in ("explain", "retired (no suite any more)"):
        value = facts[name]
        assert isinstance(value, dg.MarkdownMetadataValue)
        assert "data:image/svg+xml" in (value.md_str or "")
        assert len(value.md_str or "") < 1000
    assert isinstance(facts["score explain"], dg.FloatMetadataValue)
    assert (facts["score explain"].value, facts["score retired"].value) == (3.9, 2.5)
    table = facts["last 20 runs"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [record.data["window"] for record in table.records] == [
        "2026-11-07",
        "2026-11-02",
        "2026-11-01",
        "2026-11-01",
    ]
    assert [record.data["changed"] for record in table.records] == ["judge", "", "", ""]


@pytest.mark.usefixtures("history")
def test_a_feature_s_own_trend_has_its_numbers_and_its_last_runs(
    suites: Mapping[str, Suite], workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    key = dg.AssetKey(["explain", "trend"])
    facts = shown(run(suites, workshop, instance, key), key)
    assert facts["score"].value == 3.9
    assert facts["delta"].value == pytest.approx(-0.2)
    assert facts["mean of 7 runs"].value == 3.9, "the runs of another judge do not count"
    assert facts["dagster/row_count"].value == 3
    assert "verdict" not in facts, "it is not judged yet"
    assert isinstance(facts["last 20 runs"], dg.TableMetadataValue)
    assert len(facts["last 20 runs"].records) == 3
    assert str(facts["larger picture"].value).startswith("![")


def test_without_a_scheduled_run_a_sentence_takes_the_picture_s_place(
    suites: Mapping[str, Suite], workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    key = dg.AssetKey(["explain", "trend"])
    result = run(suites, workshop, instance, TREND, key)
    assert result.success
    for each in (TREND, key):
        assert "No scheduled run has been completed yet" in str(shown(result, each)["note"].value)
    assert len(result.output_for_node("eval_trend")) == 0


def test_the_page_says_what_the_columns_are(suites: Mapping[str, Suite], workshop: Workshop) -> None:
    graph = build_definitions(suites=suites, since=START, workshop=workshop).resolve_asset_graph()
    schema = graph.get(TREND).metadata["dagster/column_schema"]
    assert isinstance(schema, dg.TableSchema)
    assert [column.name for column in schema.columns] == list(COLUMNS)
    assert all(column.description and column.type for column in schema.columns)


def test_a_long_history_is_read_no_further_than_the_page_goes(
    suites: Mapping[str, Suite], workshop: Workshop, instance: dg.DagsterInstance, engine: Engine
) -> None:
    Scored(engine).runs(["4.000"] * (RUNS + 5))
    frame = run(suites, workshop, instance, TREND).output_for_node("eval_trend")
    assert len(frame) == RUNS
    assert frame["window_start"].iloc[0] == START + timedelta(days=RUNS + 4)
