import json
from pathlib import Path

import pytest
import typer
from pydantic import SecretStr
from sqlalchemy import Engine
from typer.testing import CliRunner, Result

from evalops_core.errors import ConfigError
from evalops_dagster.cli import backtest
from tests.domain.regression.samples import noisy, steady
from tests.run.scored import Scored
from tests.run.test_backtest import as_csv, rows_of


def call(*arguments: str | Path) -> Result:
    """`evalops backtest` alone; an error comes out as it is raised, as `main` sees it."""
    app = typer.Typer()
    backtest.register(app)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=True)


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    """A fall at the seventh run of `falls`, and none in `stays`."""
    falls = [*steady(6), noisy(9, drop=0.7), noisy(10, drop=0.7)]
    return as_csv(tmp_path / "scores.csv", [*rows_of("falls", falls), *rows_of("stays", steady(3))])


def test_stdout_has_a_json_line_for_each_run_and_stderr_a_summary(scores: Path) -> None:
    said = call(scores)
    lines = [json.loads(line) for line in said.stdout.splitlines()]
    assert said.exit_code == 0
    assert [(line["series_id"], line["run_index"]) for line in lines[-4:]] == [
        ("falls", 10), ("stays", 0), ("stays", 1), ("stays", 2),
    ]  # fmt: skip
    assert [line["severity"] for line in lines[6:8]] == ["warn", "page"]
    assert set(lines[0]) == {
        "series_id", "run_index", "outcome", "severity", "rule", "drop", "ci_low", "ci_high", "p_value", "n",
    }  # fmt: skip
    assert said.stderr.startswith("2 series, 11 runs, 9 of them compared: 2 alerts")


def test_lines_can_go_to_a_file(scores: Path, tmp_path: Path) -> None:
    said = call(scores, "-o", tmp_path / "out.jsonl")
    assert (said.exit_code, said.stdout) == (0, "")
    assert (tmp_path / "out.jsonl").read_text() == call(scores).stdout


@pytest.mark.parametrize(("options", "outcome", "rule"), [
    ([], "regressed", "history"),
    (["--rules", "paired"], "regressed", "paired"),
    (["--rules", "fixed_drop", "--drop", "2"], "stable", "fixed_drop"),
    (["--rules", "cusum"], "inconclusive", None),
    (["--min-effect", "2", "--drop", "3"], "stable", "history"),
    (["--min-effect", "2"], "regressed", "fixed_drop"),
    (["--min-cases", "41", "--drop", "2"], "inconclusive", None),
    (["--alpha", "0", "--drop", "2"], "stable", "history"),
])  # fmt: skip
def test_options_choose_the_rule_and_its_thresholds(
    scores: Path, options: list[str], outcome: str, rule: str | None
) -> None:
    line = json.loads(call(scores, *options).stdout.splitlines()[6])
    assert (line["outcome"], line["rule"]) == (outcome, rule)


def test_stateless_makes_runs_that_regressed_history(scores: Path) -> None:
    drops = [json.loads(call(scores, *options).stdout.splitlines()[7])["drop"] for options in ([], ["--stateless"])]
    assert drops[1] < drops[0] - 0.02


def test_labels_add_delays_and_false_alarms(scores: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("series_id,label,change_run\nfalls,regression,9\nstays,no_change,-1\n")
    said = call(scores, "--labels", tmp_path / "labels.csv")
    assert "regression, all: found in 1 of 1 series, median delay 0 runs; false: 0 of 1" in said.stderr
    assert "no_change, all: 0 of 1 series alerted" in said.stderr


def test_a_bad_file_is_a_usage_error_and_leaves_the_output_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("series_id\n")
    (tmp_path / "out.jsonl").write_text("kept")
    said = call(tmp_path / "bad.csv", "-o", tmp_path / "out.jsonl")
    assert isinstance(said.exception, ConfigError)
    assert said.stdout == ""
    assert (tmp_path / "out.jsonl").read_text() == "kept"


def test_an_output_that_cannot_be_written_is_a_usage_error(scores: Path, tmp_path: Path) -> None:
    said = call(scores, "-o", tmp_path / "nowhere" / "out.jsonl")
    assert isinstance(said.exception, ConfigError)


def test_without_a_file_the_stored_history_is_replayed(
    engine: Engine, database_url: SecretStr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALOPS_DATABASE_URL", database_url.get_secret_value())
    scored = Scored(engine)
    days = [
        scored.run(day, "4.0", answers={f"case-{n}": ("so", 4.0 - fall) for n in range(12)})
        for day, fall in enumerate([0.0, 0.0, 0.7])
    ]
    scored.run(3, "1.0", run_type="manual", answers={f"case-{n}": ("so", 1.0) for n in range(12)})
    said = call("--feature", "explain")
    lines = [json.loads(line) for line in said.stdout.splitlines()]
    assert [line["run_index"] for line in lines] == [run.id for run in days]
    assert [line["outcome"] for line in lines] == ["no_baseline", "stable", "regressed"]
    later = call("--since", "2026-11-03")
    assert [json.loads(line)["outcome"] for line in later.stdout.splitlines()] == ["no_baseline"]


def test_an_unknown_feature_is_refused(
    engine: Engine, database_url: SecretStr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALOPS_DATABASE_URL", database_url.get_secret_value())
    said = call("--feature", "explian")
    assert isinstance(said.exception, ConfigError)


def test_a_file_and_the_stored_history_are_not_mixed(scores: Path) -> None:
    said = call(scores, "--feature", "explain")
    assert "leave out the file or them" in str(said.exception)
