"""`evalops drift`."""

import csv
import io
import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from evalops_core.domain.drift.day import DriftDay, Far
from evalops_dagster.cli.drift_view import print_drift
from tests.cli.calling import Evalops, Said, settle
from tests.cli.test_trend_view import Stream
from tests.trend.drift_rows import drift_days, keep_days

_FEW: dict[str, Any] = {
    "state": "insufficient",
    "n": 2,
    "why": "2 of at least 10 traces with a user's message (1 more holds none)",
}
_OFF = "; drift_schedule is off by default, and `evalops traces list` shows what has come in.\n"


@pytest.fixture(autouse=True)
def deployment(database_url: SecretStr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database of the test's own; suites `orders` and one that cannot be read, `torn`."""
    settle(monkeypatch, tmp_path, database_url, cases=2, torn=True)


@pytest.fixture
def days(engine: Engine) -> None:
    """Five days of a feature that has no suite any more, the last above its threshold with an incident, and two of
    another feature."""
    with engine.begin() as connection:
        incident = connection.execute(text(_AN_INCIDENT)).scalar_one()
    alerting = {"state": "alerting", "streak": 2, "incident_id": incident}
    keep_days(engine, drift_days([None, 0.04, "gap", None, 0.16, 0.29], feature="retired", of={3: _FEW, 5: alerting}))
    keep_days(engine, drift_days([None, 0.01], feature="orders", threshold=0.02, rule="auto", alpha=0.005))


@pytest.mark.usefixtures("days")
def test_each_feature_has_a_line_of_blocks_and_a_table_of_its_days_newest_first(evalops: Evalops) -> None:
    said = evalops("drift")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0] == "orders  ▃  0.010 (one day, blocks 0–0.03)"
    start = lines.index("retired  ▁  ▄▆  0.040–0.290 (last 3 days compared, blocks 0–0.4)")
    heading, _, *rows = lines[start + 2 : start + 9]
    assert heading.split() == ["day", "(UTC)", "state", "drift", "threshold", "rule", "n", "streak", "incident", "why"]
    assert [row.split()[:8] for row in rows] == [
        ["2026-11-06", "alerting", "0.290", "0.150", "fixed", "40", "2", "1"],
        ["2026-11-05", "warning", "0.160", "0.150", "fixed", "40", "1", "–"],
        ["2026-11-04", "insufficient", "–", "–", "–", "2", "0", "–"],
        ["2026-11-02", "ok", "0.040", "0.150", "fixed", "40", "0", "–"],
        ["2026-11-01", "baseline", "–", "–", "–", "40", "0", "–"],
    ]
    assert rows[0].endswith("1 open    drift 0.290 is above 0.150")
    assert lines[-1] == "farthest on 2026-11-06, by trace and distance: trace-9 (0.750), trace-4 (0.500)"
    assert "\x1b" not in said.out


@pytest.mark.usefixtures("days")
def test_limit_is_of_each_feature(evalops: Evalops) -> None:
    rows = json.loads(evalops("drift", "--limit", "1", "--format", "json").out)
    assert [(row["feature"], row["day"]) for row in rows] == [("orders", "2026-11-02"), ("retired", "2026-11-06")]


@pytest.mark.usefixtures("days")
def test_json_has_whole_rows_and_names_the_farthest_by_their_traces(evalops: Evalops) -> None:
    newest, *others = json.loads(evalops("drift", "--feature", "retired", "--format", "json").out)
    assert list(newest) == [field.name for field in fields(DriftDay)]
    assert newest["farthest"] == [{"trace_id": "trace-9", "distance": 0.75}, {"trace_id": "trace-4", "distance": 0.5}]
    assert newest["baseline_days"] == ["2026-11-04", "2026-11-05"]
    assert (newest["drift"], newest["state"], newest["decided_at"]) == (0.29, "alerting", "2026-12-01T00:30:00Z")
    assert [row["drift"] for row in others] == [0.16, None, 0.04, None]
    assert newest["incident_resolution"] is None


@pytest.mark.usefixtures("days")
def test_csv_says_the_same_in_cells(evalops: Evalops, tmp_path: Path) -> None:
    file = tmp_path / "drift.csv"
    assert evalops("drift", "--feature", "retired", "-o", str(file)) == Said(0, f"5 days written to {file}\n", "")
    rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))
    whole = json.loads(evalops("drift", "--feature", "retired", "--format", "json").out)
    assert [row["drift"] for row in rows] == ["0.29", "0.16", "", "0.04", ""]
    assert json.loads(rows[0]["farthest"]) == whole[0]["farthest"]
    assert json.loads(rows[0]["baseline_days"]) == whole[0]["baseline_days"]
    assert (rows[0]["has_centroid"], rows[2]["n"]) == ("true", "2")


@pytest.mark.usefixtures("days")
@pytest.mark.parametrize(
    ("since", "shown"),
    [
        ("2026-11-05", ["2026-11-06", "2026-11-05"]),
        ("2026-11-05T01:00+01:00", ["2026-11-06", "2026-11-05"]),
        ("2026-11-05 00:00:01Z", ["2026-11-06"]),
        ("9999-12-31T12:00", []),
    ],
)
def test_since_is_a_moment_that_days_start_at_or_after(evalops: Evalops, since: str, shown: list[str]) -> None:
    rows = json.loads(evalops("drift", "--feature", "retired", "--since", since, "--format", "json").out)
    assert [row["day"] for row in rows] == shown


@pytest.mark.usefixtures("days")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--since", "yesterday"], "--since: expected a date like 2026-12-01"),
        (["--feature", "ordres"], "--feature: there is no feature 'ordres'; there are orders, retired"),
        (["--feature", "torn"], "suite.yaml:2: "),
        (["-o", "drift.parquet"], "-o drift.parquet: expected a name that ends in .json, .csv, or --format"),
        (["-o", "nowhere/drift.csv"], "cannot be written: there is no folder nowhere"),
        (["--limit", "0"], "--limit"),
        (["--format", "xml"], "--format"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(evalops: Evalops, arguments: list[str], words: str) -> None:
    said = evalops("drift", *arguments)
    assert (said.code, said.out) == (2, "")
    assert words in said.err.splitlines()[-1]


@pytest.mark.usefixtures("days")
def test_a_table_can_be_a_file(evalops: Evalops, tmp_path: Path) -> None:
    file = tmp_path / "drift.txt"
    assert evalops("drift", "--format", "table", "-o", str(file)).out == f"7 days written to {file}\n"
    assert "▁  ▄▆" in file.read_text(encoding="utf-8")


def test_without_any_day_a_sentence_says_what_to_look_at(evalops: Evalops) -> None:
    nothing = f"No day's inputs have been looked at yet{_OFF}"
    assert evalops("drift") == Said(0, nothing, "")
    of_one = evalops("drift", "--feature", "orders", "--since", "2026-11-01").out
    assert of_one == f"No day's inputs of orders since 2026-11-01 00:00 UTC have been looked at yet{_OFF}"
    assert evalops("drift", "--format", "json").out == "[]\n"
    assert evalops("drift", "--format", "csv").out.startswith("id,feature,day,")


def printed(shown: list[DriftDay], columns: int | None, encoding: str = "utf-8") -> list[str]:
    stream = Stream(encoding, terminal=columns is not None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns or 40))
        print_drift(shown, stream)
    stream.seek(0)
    return stream.read().splitlines()


@pytest.mark.parametrize("columns", [80, 100, 120])
def test_the_table_fits_the_terminal_and_keeps_its_numbers(columns: int) -> None:
    alerting: dict[str, Any] = {"state": "alerting", "incident_id": 1234, "incident_resolution": "recovered"}
    shown = drift_days([0.04, None, 0.29], of={1: _FEW, 2: {**alerting, "farthest": ()}}, n=50)
    lines = printed(shown, columns)
    assert max(map(len, lines)) <= columns
    (newest,) = [line for line in lines if "2026-11-03" in line]
    for number in ("alerting", "0.290", "0.150", "50", "1234 recovered", *(["fixed"] if columns >= 100 else [])):
        assert number in newest


def test_ascii_is_enough_where_the_terminal_has_nothing_else() -> None:
    lines = printed(drift_days([None, 0.04, 0.29]), None, encoding="ascii")
    assert lines[0] == "explain  .*  0.040-0.290 (last 2 days compared, blocks 0-0.4)"


def test_a_feature_of_which_nothing_was_compared_says_so_and_shows_its_days() -> None:
    undecided = {"state": None, "why": "", "decided_at": None}
    lines = printed(drift_days([None, None], of={1: undecided}), None)
    assert lines[0] == "explain  nothing has been compared yet"
    assert re.split(r"\s{2,}", lines[4])[:3] == ["2026-11-02", "undecided", "–"]
    assert lines[4].endswith("not decided yet")


def test_ids_of_traces_are_no_commands_of_the_terminal() -> None:
    hostile = (Far("t\x1b[2J\r9", 0.5),)
    *_, last = printed(drift_days([0.29], farthest=hostile), 120)
    assert last == "farthest on 2026-11-01, by trace and distance: t[2J 9 (0.500)"


_AN_INCIDENT = """
    INSERT INTO evalops.incidents (fingerprint, kind, feature, opened_at)
    VALUES ('drift:retired', 'drift', 'retired', '2026-11-07') RETURNING id
"""
