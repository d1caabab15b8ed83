import csv
import io
import json
from datetime import datetime
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from evalops_core.store.runs import EvalRuns
from tests.builders import write_suite
from tests.cli.calling import Evalops
from tests.store.rows import finished, started


@pytest.fixture(autouse=True)
def deployment(database_url: SecretStr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database of the test's own; suites `orders` and one that cannot be read, `torn`."""
    write_suite(tmp_path / "suites", "http://127.0.0.1:9/v1", cases=2)
    write_suite(tmp_path / "suites", "http://127.0.0.1:9/v1", feature="torn", yaml="description: [")
    monkeypatch.setenv("EVALOPS_DATABASE_URL", database_url.get_secret_value())
    monkeypatch.setenv("EVALOPS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EVALOPS_SUITES", str(tmp_path / "suites"))


@pytest.fixture
def history(engine: Engine) -> None:
    """Three scheduled runs of a feature that has no suite any more, a run by hand, and one of another feature."""
    runs = EvalRuns(engine)
    for day, score in enumerate(["4.0", "4.2", "3.9"]):
        runs.finish(started(runs, "retired", day=day).id, finished(score=score))
    runs.finish(started(runs, "retired", day=3, run_type="manual").id, finished(score="1.0"))
    runs.finish(started(runs, "orders", day=1).id, finished(score="5.0", model="another/model"))


@pytest.mark.usefixtures("history")
def test_the_table_shows_scheduled_runs_newest_first(evalops: Evalops) -> None:
    said = evalops("trend", "--feature", "retired")
    assert (said.code, said.err) == (0, "")
    lines = [line.split() for line in said.out.splitlines() if "retired" in line]
    assert [line[1:4] for line in lines] == [
        ["2025-03-03", "3.900", "-0.300"],
        ["2025-03-02", "4.200", "+0.200"],
        ["2025-03-01", "4.000", "–"],
    ]
    assert "39/40" in said.out
    assert "\x1b" not in said.out


@pytest.mark.usefixtures("history")
def test_json_is_one_document_with_numbers_and_times(evalops: Evalops) -> None:
    rows = json.loads(evalops("trend", "--format", "json").out)
    assert len(rows) == 4
    (newest, *_) = [row for row in rows if row["feature"] == "retired"]
    assert (newest["partition_key"], newest["score"], newest["n"]) == ("2025-03-03", 3.9, 39)
    assert newest["delta"] == pytest.approx(-0.3)
    assert datetime.fromisoformat(newest["created_at"].replace("Z", "+00:00")).utcoffset() is not None


@pytest.mark.usefixtures("history")
def test_csv_has_a_heading_and_a_line_a_run(evalops: Evalops) -> None:
    rows = list(csv.DictReader(io.StringIO(evalops("trend", "--format", "csv", "--limit", "2").out)))
    assert [(row["feature"], row["partition_key"], row["score"]) for row in rows][:1] == [
        ("retired", "2025-03-03", "3.9")
    ]
    assert len(rows) == 2


@pytest.mark.usefixtures("history")
def test_a_model_is_chosen_by_its_resolved_id(evalops: Evalops) -> None:
    rows = json.loads(evalops("trend", "--model", "another/model", "--format", "json").out)
    assert [row["feature"] for row in rows] == ["orders"]


@pytest.mark.usefixtures("history")
def test_a_known_feature_without_matching_runs_is_no_mistake(evalops: Evalops) -> None:
    said = evalops("trend", "--feature", "retired", "--model", "nobody")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("No scheduled run of retired with nobody has been completed yet")


@pytest.mark.usefixtures("history")
def test_an_unknown_feature_is_refused_with_those_there_are(evalops: Evalops) -> None:
    said = evalops("trend", "--feature", "ordres")
    assert (said.code, said.out) == (2, "")
    assert said.err == "error: --feature: there is no feature 'ordres'; there are orders, retired\n"


def test_a_feature_whose_suite_cannot_be_read_says_why(evalops: Evalops, tmp_path: Path) -> None:
    said = evalops("trend", "--feature", "torn")
    assert said.code == 2
    assert said.err.startswith(f"error: {tmp_path / 'suites' / 'torn' / 'suite.yaml'}:2: ")


def test_an_empty_history_is_empty_in_every_format(evalops: Evalops) -> None:
    assert evalops("trend").out == ("No scheduled run has been completed yet; runs by hand do not enter the trend.\n")
    assert json.loads(evalops("trend", "--format", "json").out) == []
    assert list(csv.DictReader(io.StringIO(evalops("trend", "--format", "csv").out))) == []
    assert evalops("trend", "--feature", "orders").out.startswith("No scheduled run of orders has been completed yet")
