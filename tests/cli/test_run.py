import json
import shutil
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.builders import JUDGED, environment, write_suite
from tests.cli.calling import Evalops
from tests.mock_fixture import MockOpenAI, mock_openai, mock_process

__all__ = ["mock_openai", "mock_process"]

PROJECT = Path(__file__).parents[2]
TALKATIVE = """\
def score(answer, case):
    print("a scorer that prints")
    return 4
"""


@pytest.fixture(autouse=True)
def suites(database_url: SecretStr, mock_openai: MockOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of suites; the settings are those of a deployment over the test's database."""
    folder = tmp_path / "suites"
    for name, value in environment(database_url, tmp_path / "home", folder, mock_openai.base_url).items():
        monkeypatch.setenv(name, value)
    home = tmp_path / "instance"
    home.mkdir()
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT / name, home)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    return folder


def test_a_run_with_too_few_scores_exits_with_3_and_says_why(
    evalops: Evalops, mock_openai: MockOpenAI, suites: Path
) -> None:
    write_suite(suites, mock_openai.base_url, cases=4)
    mock_openai.configure(rate_badjson=1.0)
    said = evalops("run", "--limit", "2")
    assert said.code == 3
    (row,) = [line for line in said.out.splitlines() if "0/2" in line]
    assert row.split()[0] == "orders"
    assert "orders is invalid: coverage 0.0% is below" in said.out
    assert "\x1b" not in said.out


def test_a_missing_key_is_a_matter_of_configuration(evalops: Evalops, mock_openai: MockOpenAI, suites: Path) -> None:
    file = write_suite(suites, mock_openai.base_url, cases=1) / "suite.yaml"
    file.write_text(file.read_text().replace("model: {", "model: {api_key_env: NO_SUCH_KEY, "))
    said = evalops("run")
    assert (said.code, said.out) == (2, "")
    assert said.err.splitlines()[-1].startswith("error: orders: NO_SUCH_KEY: is not set")
    assert mock_openai.requests() == []


@pytest.mark.parametrize("features", [["ordres"], ["orders", "ordres"]])
def test_an_unknown_feature_is_refused_before_anything_is_called(
    evalops: Evalops, mock_openai: MockOpenAI, suites: Path, features: list[str]
) -> None:
    write_suite(suites, mock_openai.base_url, cases=1)
    said = evalops("run", *(word for name in features for word in ("--feature", name)))
    assert (said.code, said.out) == (2, "")
    assert said.err == "error: --feature: there is no feature 'ordres'; there are orders\n"
    assert mock_openai.requests() == []


def test_with_nothing_but_suites_that_cannot_be_read_it_names_each(evalops: Evalops, suites: Path) -> None:
    for feature in ("torn", "worn"):
        write_suite(suites, "http://127.0.0.1:9/v1", feature=feature, yaml="description: [")
    said = evalops("run")
    assert (said.code, said.out) == (2, "")
    assert [line.split(": ")[:2] for line in said.err.splitlines()] == [["error", "torn"], ["error", "worn"]]


def test_what_a_scorer_prints_stays_out_of_the_json(evalops: Evalops, mock_openai: MockOpenAI, suites: Path) -> None:
    folder = write_suite(suites, mock_openai.base_url, cases=1)
    text = (folder / "suite.yaml").read_text()
    scorers = text[text.index("scorers:") : text.index("repeats:")]
    (folder / "suite.yaml").write_text(
        text.replace(scorers, "scorers:\n  - {type: python, function: talkative:score}\n")
    )
    (folder / "talkative.py").write_text(TALKATIVE)
    said = evalops("run", "--json")
    assert said.code == 0, said.err
    (run,) = json.loads(said.out)
    assert run["score"] == 4.0
    assert "a scorer that prints" in said.err


def test_the_judge_is_not_asked_the_same_again_unless_told_to(
    evalops: Evalops, mock_openai: MockOpenAI, suites: Path
) -> None:
    write_suite(suites, mock_openai.base_url, cases=3)
    for options, taken, calls in (["--json"], 0, 3), (["--json"], 3, 3), (["--json", "--no-cache"], 0, 6):
        said = evalops("run", *options)
        assert said.code == 0, said.err
        (run,) = json.loads(said.out)
        assert (run["judgments_from_cache"], run["judge_model_id"], run["n"]) == (taken, "mock-judge", 3)
        assert mock_openai.stats()["by_kind"]["judge"] == calls
    assert "orders: 3 judgments from the cache, without a call\n" in evalops("run").out


@pytest.mark.parametrize("command", [["dev", "--port", "0"], ["run"], ["trend"], ["db", "current"]])
def test_a_home_that_cannot_be_used_is_one_sentence(
    evalops: Evalops,
    mock_openai: MockOpenAI,
    suites: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
) -> None:
    write_suite(suites, mock_openai.base_url, cases=1)
    (tmp_path / "a file").write_text("")
    monkeypatch.delenv("EVALOPS_DATABASE_URL")
    monkeypatch.setenv("EVALOPS_HOME", str(tmp_path / "a file"))
    said = evalops(*command)
    assert (said.code, said.out) == (2, "")
    assert said.err.count("\n") == 1
    assert "EVALOPS_HOME" in said.err
    assert str(tmp_path / "a file") in said.err


def test_an_error_that_nobody_foresaw_is_a_sentence_with_the_traceback_in_a_file(
    evalops: Evalops, mock_openai: MockOpenAI, suites: Path, tmp_path: Path
) -> None:
    write_suite(suites, mock_openai.base_url, cases=1)
    home = tmp_path / "dagster home"
    home.mkdir()
    (home / "dagster.yaml").write_text("storage: nonsense\n")
    (home / "workspace.yaml").write_text("")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home))
        said = evalops("run")
    assert (said.code, said.out) == (1, "")
    assert said.err.count("\n") == 1
    log = tmp_path / "home" / "logs" / "errors.log"
    assert said.err.endswith(f"(the traceback is in {log})\n")
    assert "Traceback (most recent call last)" in log.read_text()


def test_a_dry_run_calls_nobody_and_says_that_the_cache_may_make_judging_cheaper(
    evalops: Evalops, mock_openai: MockOpenAI, suites: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALOPS_JUDGE_MODEL", "mock-judge")
    monkeypatch.setenv("EVALOPS_JUDGE_BASE_URL", mock_openai.base_url)
    write_suite(suites, mock_openai.base_url, cases=3, yaml=JUDGED)
    said = evalops("run", "--dry-run")
    assert said.code == 0
    assert "3 answers of mock-model" in said.out
    assert "3 judgments of mock-judge" in said.out
    assert said.out.splitlines()[-1].startswith("Judging costs less where the judge was asked the very same before")
    assert "the very same" not in evalops("run", "--dry-run", "--no-cache").out
    assert mock_openai.requests() == []
