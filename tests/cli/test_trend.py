import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from evalops_core.store.runs import EvalRuns
from evalops_core.trend.export import ENDINGS, FileFormat
from tests.cli.calling import Evalops, Said, settle
from tests.store.rows import finished, started
from tests.trend.reading import READERS, view


@pytest.fixture(autouse=True)
def deployment(database_url: SecretStr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database of the test's own; suites `orders` and one that cannot be read, `torn`."""
    settle(monkeypatch, tmp_path, database_url, cases=2, torn=True)


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
    (above, *lines) = [line.split() for line in said.out.splitlines() if "retired" in line]
    assert above[:3] == ["retired", "▅▆▄", "3.90–4.20"]
    assert [line[1:5] for line in lines] == [
        ["2025-03-03", "3.900", "-0.300", "4.033"],
        ["2025-03-02", "4.200", "+0.200", "4.100"],
        ["2025-03-01", "4.000", "–", "4.000"],
    ]
    assert "39/40" in said.out
    assert "\x1b" not in said.out


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("form", ENDINGS.values())
def test_every_format_has_the_rows_and_columns_of_the_view(
    evalops: Evalops, engine: Engine, tmp_path: Path, form: FileFormat
) -> None:
    file = tmp_path / f"trend.{form}"
    said = evalops("trend", "--limit", "3", "-o", str(file))
    assert (said.code, said.out, said.err) == (0, f"3 runs written to {file}\n", "")
    assert READERS[form](file.read_bytes()) == view(engine)[:3]
    assert [written.name for written in tmp_path.glob("*trend*")] == [file.name]


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("form", ENDINGS.values())
def test_every_format_can_be_redirected(engine: Engine, form: FileFormat) -> None:
    command = [sys.executable, "-m", "evalops_dagster.cli", "trend", "--format", form]
    assert READERS[form](subprocess.run(command, check=True, capture_output=True).stdout) == view(engine)


@pytest.mark.usefixtures("history")
def test_csv_is_printed_with_a_heading_and_a_line_a_run(evalops: Evalops) -> None:
    lines = evalops("trend", "--format", "csv", "--limit", "2").out.splitlines()
    assert lines[0].startswith("eval_run_id,feature,model_id,")
    assert [line.split(",")[1] for line in lines[1:]] == ["retired", "orders"]


@pytest.mark.usefixtures("history")
def test_a_format_that_is_named_goes_before_the_ending(evalops: Evalops, tmp_path: Path) -> None:
    file = tmp_path / "trend.csv"
    evalops("trend", "-o", str(file), "--format", "json")
    assert len(json.loads(file.read_text(encoding="utf-8"))) == 4
    evalops("trend", "-o", str(file), "--format", "table")
    assert "3.900" in file.read_text(encoding="utf-8")
    assert "▁▂▃▄▅▆▇█"[-1] in file.read_text(encoding="utf-8")


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("folder.csv", "cannot be written: it is a folder"),
        ("nowhere/trend.csv", "cannot be written: there is no folder {}/nowhere"),
        ("file/trend.csv", "cannot be written: there is no folder {}/file"),
        ("x" * 300 + ".csv", "cannot be written: File name too long"),
        ("trend.txt", "expected a name that ends in .json, .csv, .parquet, or --format"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_in_a_sentence(
    evalops: Evalops, tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    said = evalops("trend", "-o", str(tmp_path / name))
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: ")
    assert said.err.endswith(f"{reason.format(tmp_path)}\n")
    assert said.err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.usefixtures("history")
def test_a_file_is_replaced_whole_or_not_at_all(
    evalops: Evalops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, link = tmp_path / "trend.csv", tmp_path / "link.csv"
    file.write_text("before")
    link.symlink_to(file)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        said = evalops("trend", "-o", str(file))
    assert (said.code, said.err) == (2, f"error: {file}: cannot be written: No space left on device\n")
    assert file.read_text() == "before"
    assert evalops("trend", "-o", str(link)).code == 0
    assert link.is_symlink()
    assert file.read_text().startswith("eval_run_id,")
    assert not list(tmp_path.glob(".evalops-*"))


@pytest.mark.usefixtures("history")
def test_parquet_is_not_for_a_terminal(evalops: Evalops, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    said = evalops("trend", "--format", "parquet")
    assert (said.code, said.out) == (2, "")
    assert said.err == "error: --format: parquet is not for a terminal: name a file with -o\n"


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(
    ("since", "windows"),
    [
        ("2025-03-02", ["2025-03-03", "2025-03-02"]),
        ("2025-03-02T00:00", ["2025-03-03", "2025-03-02"]),
        ("2025-03-02T01:00+01:00", ["2025-03-03", "2025-03-02"]),
        ("2025-03-02 00:00:01Z", ["2025-03-03"]),
        ("2030-01-01", []),
    ],
)
def test_since_is_a_moment_in_utc_that_windows_start_at_or_after(
    evalops: Evalops, since: str, windows: list[str]
) -> None:
    rows = json.loads(evalops("trend", "--feature", "retired", "--since", since, "--format", "json").out)
    assert [row["partition_key"] for row in rows] == windows


@pytest.mark.parametrize(
    "since", ["yesterday", "2025-13-01", "3d", "2025-03", "20250301", "9999-12-31T23:59-12:00", ""]
)
def test_another_since_is_refused_in_a_sentence(evalops: Evalops, since: str) -> None:
    said = evalops("trend", "--since", since)
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        "error: --since: expected a date like 2026-12-01, a date and time like 2026-12-01T09:00 (UTC) or "
        f"2026-12-01T09:00+01:00, not {since!r}\n"
    )


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


def test_a_feature_of_long_ago_is_among_those_there_are(evalops: Evalops, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(_A_THOUSAND_SINCE))
    listed = "there is no feature 'ordres'; there are busy, long_ago, orders"
    for command in (["trend"], ["incidents", "list"]):
        assert evalops(*command, "--feature", "ordres").err == f"error: --feature: {listed}\n"
        assert evalops(*command, "--feature", "long_ago").code == 0


def test_a_feature_that_was_run_by_hand_alone_is_known(evalops: Evalops, engine: Engine) -> None:
    started(EvalRuns(engine), "tried", run_type="manual")
    said = evalops("trend", "--feature", "tried", "--since", "2025-03-01")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("No scheduled run of tried since 2025-03-01 00:00 UTC has been completed yet")


def test_a_feature_whose_suite_cannot_be_read_says_why(evalops: Evalops, tmp_path: Path) -> None:
    said = evalops("trend", "--feature", "torn")
    assert said.code == 2
    assert said.err.startswith(f"error: {tmp_path / 'suites' / 'torn' / 'suite.yaml'}:2: ")


def test_an_empty_history_is_empty_in_every_format(evalops: Evalops, tmp_path: Path) -> None:
    nothing = "No scheduled run has been completed yet; runs by hand do not enter the trend.\n"
    assert evalops("trend") == Said(0, nothing, "")
    assert evalops("trend", "--feature", "orders").out.startswith("No scheduled run of orders has been completed yet")
    for form in ENDINGS.values():
        file = tmp_path / f"trend.{form}"
        assert evalops("trend", "-o", str(file)).out == f"0 runs written to {file}\n"
        assert READERS[form](file.read_bytes()) == []


@pytest.mark.usefixtures("history")
def test_a_table_needs_neither_pandas_nor_what_evaluates(database_url: SecretStr) -> None:
    heavy = "{'pandas', 'aiohttp', 'jsonschema', 'dagster', 'scipy', 'numpy'}"
    code = f"""
import sys
from evalops_dagster.cli import main
sys.argv = ["evalops", "trend", "--feature", "retired"]
try:
    main()
finally:
    print("imported", *sorted({heavy} & set(sys.modules)))
"""
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, encoding="utf-8")
    assert said.stdout.splitlines()[-1] == "imported"
    assert "3.900" in said.stdout


_A_THOUSAND_SINCE = """
    INSERT INTO evalops.eval_runs (feature, window_start, window_end, partition_key, run_type, status, comparability,
        comparability_key, plan_key, score, finished_at)
    SELECT CASE day WHEN 0 THEN 'long_ago' ELSE 'busy' END, at, at + interval '1 day', to_char(at, 'YYYY-MM-DD'),
        'scheduled', 'completed', '{}', 'k', 'k', 4, at
    FROM generate_series(0, 1001) AS day, LATERAL (SELECT '2022-01-01'::timestamptz + day * interval '1 day') AS _(at)
"""
