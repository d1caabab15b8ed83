"""`evalops compare`."""

import json
import re
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from tests.cli.calling import Evalops, Said, settle
from tests.run.scored import Scored
from tests.run.test_compare import CASES, answers, csv_file

HOSTILE = "case|`<b>`@someone [x](http://evil.example) #1 \x1b[31m"


@pytest.fixture(autouse=True)
def deployment(database_url: SecretStr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Suites `orders` and one that cannot be read, `torn`; the feature `explain` has none any more."""
    settle(monkeypatch, tmp_path, database_url, cases=2, torn=True)


@pytest.fixture
def runs(engine: Engine) -> None:
    """Of `explain`: 1 and 2 alike, 3 lower in every case, most in case-07, 4 judged otherwise, 5 cut short."""
    scored = Scored(engine)
    scored.run(1, "4.100", answers=answers())
    scored.run(2, "4.100", answers=answers())
    of = {case: 0.25 + 0.01 * (number % 4) for number, case in enumerate(CASES)}
    scored.run(3, "3.750", answers=answers(of={**of, "case-07": 2.0}), model="large-2", run_type="manual")
    scored.run(4, "4.100", answers=answers(), key={"judge": "mild-2"}, run_type="manual")
    scored.run(4, "4.100", answers=answers(), status="partial", run_type="manual")


def cells(said: Said, first: str) -> list[str]:
    (row,) = [re.split(r"\s{2,}", line.strip()) for line in said.out.splitlines() if line.strip().startswith(first)]
    return row


@pytest.mark.usefixtures("runs")
def test_the_exit_code_says_the_outcome_and_the_first_line_the_verdict(evalops: Evalops) -> None:
    for words, code, verdict in [
        (["1", "2"], 0, "explain: no regression; 20 common cases scored the same as run 1"),
        (["2", "3"], 100, "explain: regression; 20 common cases scored 0.35"),
        (["3", "4"], 3, "explain: not comparable; the judge changed (none → mild-2): the scores are measured"),
    ]:
        said = evalops("compare", *words)
        assert (said.code, said.err) == (code, ""), words
        assert said.out.startswith(verdict), said.out


@pytest.mark.usefixtures("runs")
def test_the_table_has_everything_but_the_texts(evalops: Evalops) -> None:
    said = evalops("compare", "2", "3")
    assert cells(said, "drop")[1].startswith("0.35")
    assert "(95 % CI 0.1" in cells(said, "drop")[1]
    assert cells(said, "rule") == ["rule", "paired sign-flip test (rule B)"]
    assert cells(said, "detectable")[1].endswith("at 80 % power")
    assert cells(said, "cases") == ["cases", "20 in both runs and scored"]
    assert cells(said, "baseline")[1] == "run 2, 4.100 ± 0.10, scheduled, window 2026-11-03, small-1, git sha2"
    assert cells(said, "changed")[1] == "the model changed (small-1 → large-2); the commit changed (sha2 → sha3)"
    assert cells(said, "case-07")[1:3] == ["4.10", "2.10"]
    assert float(cells(said, "case-07")[3]) > 4
    assert "answer of" not in said.out
    assert "\x1b" not in said.out


@pytest.mark.usefixtures("runs")
def test_json_is_one_document_with_numbers_and_without_texts(evalops: Evalops) -> None:
    said = evalops("compare", "2", "3", "--json")
    assert said.code == 100
    found = json.loads(said.out)
    assert (found["outcome"], found["exit_code"], found["feature"]) == ("regressed", 100, "explain")
    assert (found["rule"], found["n"], found["baseline"]["run"], found["candidate"]["run"]) == ("paired", 20, 2, 3)
    assert found["ci_low"] < found["drop"] < found["ci_high"]
    assert found["minimum_detectable"] > 0
    assert found["candidate"] | {"comparability_key": ""} == {
        "run": 3,
        "file": None,
        "chosen": None,
        "score": 3.75,
        "cases": 20,
        "unscored": [],
        "repeats": 1,
        "se": 0.1,
        "run_type": "manual",
        "window": "2026-11-04",
        "model": "large-2",
        "judge": None,
        "git_sha": "sha3",
        "comparability_key": "",
    }
    assert found["changed"] == ["the model changed (small-1 → large-2)"]
    assert found["worst"][0]["case"] == "case-07"
    assert "answer of" not in said.out
    assert "answer of case-07" in evalops("compare", "2", "3", "--json", "--texts").out


@pytest.mark.usefixtures("runs")
def test_texts_are_shown_on_demand(evalops: Evalops) -> None:
    said = evalops("compare", "2", "3", "--texts")
    assert "answer of case-07" in said.out
    assert "because of case-07" in said.out


@pytest.mark.usefixtures("runs")
def test_markdown_has_the_verdict_first_and_the_details_behind_a_fold(evalops: Evalops) -> None:
    said = evalops("compare", "baseline", "3", "--markdown")
    lines = said.out.splitlines()
    assert (said.code, lines[:3]) == (100, ["<!-- evalops compare -->", "### explain: regression", ""])
    assert lines[3].startswith("20 common cases scored 0.35")
    fold = lines.index("<details><summary>Details</summary>")
    assert lines[fold + 1] == ""
    assert lines[-1] == "</details>"
    assert [line for line in lines[:fold] if "95 % CI" in line and line.startswith("| **drop** |")]
    assert [line for line in lines[fold:] if line.startswith("| case-07 | 4.10 | 2.10 | ")]
    assert "answer of" not in said.out


@pytest.mark.usefixtures("runs")
def test_axes_are_shown_with_their_change(evalops: Evalops, engine: Engine) -> None:
    with engine.begin() as connection:
        for run, axes in ((2, '{"judge.tone": 4.5, "judge.sense": 4}'), (3, '{"judge.tone": 3.25, "new.axis": 2}')):
            statement = text("UPDATE evalops.eval_runs SET breakdown = CAST(:axes AS jsonb) WHERE id = :run")
            connection.execute(statement, {"axes": axes, "run": run})
    said = evalops("compare", "2", "3")
    assert cells(said, "judge.tone") == ["judge.tone", "4.500", "3.250", "-1.250"]
    assert cells(said, "judge.sense") == ["judge.sense", "4.000", "–", "–"]
    assert json.loads(evalops("compare", "2", "3", "--json").out)["axes"] == [
        {"axis": "judge.sense", "before": 4.0, "after": None, "delta": None},
        {"axis": "judge.tone", "before": 4.5, "after": 3.25, "delta": -1.25},
        {"axis": "new.axis", "before": None, "after": 2.0, "delta": None},
    ]
    assert "| judge.tone | 4.500 | 3.250 | -1.250 |" in evalops("compare", "2", "3", "--markdown").out


def test_cases_that_only_one_run_has_are_counted_and_named(engine: Engine, evalops: Evalops) -> None:
    scored = Scored(engine)
    scored.run(1, "4.100", answers=answers(cases=CASES[:15]))
    scored.run(2, "4.100", answers=answers(cases=CASES[5:]))
    said = evalops("compare", "1", "2")
    assert said.code == 3
    assert said.out.startswith("explain: too little data; only 10 of 15 cases are in both runs")
    assert cells(said, "cases") == ["cases", "10 in both runs and scored"]
    assert cells(said, "missing cases")[1] == f"5: {', '.join(CASES[:5])}"
    assert cells(said, "new cases")[1] == f"5: {', '.join(CASES[15:])}"
    found = json.loads(evalops("compare", "1", "2", "--json").out)
    assert (found["exit_code"], found["n"], found["missing"], found["new"]) == (3, 10, CASES[:5], CASES[15:])


def test_nothing_that_a_case_says_is_markup_or_names_anybody(engine: Engine, evalops: Evalops) -> None:
    scored = Scored(engine)
    before = {**answers(), HOSTILE: ("fine", 5.0)}
    after = {**answers(), HOSTILE: ("```\n</details> @everyone", 1.0)}
    scored.run(1, "4.100", answers=before)
    scored.run(2, "4.000", answers=after)
    said = evalops("compare", "1", "2", "--markdown", "--texts")
    (row,) = [line for line in said.out.splitlines() if line.startswith("| case\\|")]
    assert re.sub(r"\\.", "", row).count("|") == 5
    prose = re.sub(r"^(`{3,})text\n.*?\n\1$", "", said.out, flags=re.MULTILINE | re.DOTALL)
    for words in ("@someone", "@everyone", "http://", "<b>", "[x]", " #1"):
        assert words in HOSTILE + after[HOSTILE][0]
        assert words not in prose
    assert "\x1b" not in said.out
    lines = said.out.splitlines()
    assert lines.count("````") == 1, "the text's own fence does not end the block"
    start = lines.index("````text")
    assert lines.index("</details> @everyone") in range(start, lines.index("````"))


def test_two_files_need_neither_a_database_nor_a_suite(
    evalops: Evalops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALOPS_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/nothing")
    monkeypatch.setenv("EVALOPS_SUITES", str(tmp_path / "nowhere"))
    scores = {case: score for case, (_, score) in answers().items()}
    one = csv_file(tmp_path / "one.csv", scores)
    other = csv_file(tmp_path / "other.csv", {case: score - 0.6 for case, score in scores.items()})
    said = evalops("compare", str(one), str(other))
    assert (said.code, said.err) == (100, "")
    assert said.out.startswith("regression; 20 common cases scored 0.600 lower than")
    assert "unknown of a file" in said.out
    few = csv_file(tmp_path / "few.csv", {"case-01": 4})
    assert evalops("compare", str(few), str(few.with_name("one.csv"))).code == 3


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["1", "1"], 2, "1 is named twice; a run is not compared with itself"),
        (["2", "1"], 2, "run 2, the baseline, is later than run 1 (windows 2026-11-03 and 2026-11-02)"),
        (["1", "99"], 2, "there is no eval run 99"),
        (["1", "newest"], 2, "expected the id of an eval run, latest, baseline, or a file of scores"),
        (["1", "nowhere.csv"], 2, "nowhere.csv: there is no such file"),
        (["baseline", "latest"], 2, "--feature: expected the feature of which"),
        (
            ["baseline", "latest", "--feature", "explian"],
            2,
            "--feature: there is no feature 'explian'; there are orders",
        ),
        (["baseline", "latest", "--feature", "torn"], 2, "suite.yaml"),
        (["1", "2", "--feature", "orders"], 2, "eval run 1 is of explain, not of orders"),
        (["1", "2", "--json", "--markdown"], 2, "--markdown: expected one of the two"),
        (["1"], 2, "RUN_B"),
        (["1", "5"], 3, "eval run 5 of explain is partial (it is partial); a run without a score to trust"),
        (["baseline", "1"], 3, "there is no valid scheduled run of explain before run 1 to compare with"),
        (["baseline", "latest", "--feature", "orders"], 3, "there is no completed run of orders yet"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(evalops: Evalops, arguments: list[str], code: int, words: str) -> None:
    said = evalops("compare", *arguments)
    assert (said.code, said.out) == (code, "")
    assert words in said.err.splitlines()[-1]
