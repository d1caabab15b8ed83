"""`evalops features`."""

import io
import json
import re
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from evalops_core.run.detect import detect
from evalops_core.store.gate import Gate
from tests.builders import write_suite
from tests.cli.calling import Evalops, settle
from tests.run.scored import NOW, Scored, rules


@pytest.fixture(autouse=True)
def deployment(database_url: SecretStr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database of the test's own and a suite, `orders`; the feature `explain` has none any more."""
    settle(monkeypatch, tmp_path, database_url, cases=2)


@pytest.fixture
def scored(engine: Engine) -> Scored:
    """Runs 1 and 2 of `explain`, the second a fall that incident 1 is about, and 3 of `orders` after them."""
    made = Scored(engine)
    made.runs(["4.200", "3.000"])
    detect(engine, rules(), NOW)
    made.run(2, "4.300", feature="orders")
    return made


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.usefixtures("scored")
def test_the_list_has_every_feature_with_a_suite_or_a_history(evalops: Evalops, tmp_path: Path) -> None:
    (tmp_path / "suites" / "half_made").mkdir()
    (tmp_path / "suites" / "half_made" / "suite.yaml").write_text("nonsense")
    write_suite(tmp_path / "suites", "http://127.0.0.1:9/v1", feature="quite_new", cases=2)
    said = evalops("features", "list")
    assert (said.code, said.err) == (0, "")
    rows = [re.split(r"\s{2,}", line.strip()) for line in said.out.splitlines()]
    assert rows[3:7] == [
        ["explain", "gone", "2", "2026-11-02", "3.000", "1 (regression)"],
        ["half_made", "broken", "0", "–", "–", "–"],
        ["orders", "yes", "1", "2026-11-03", "4.300", "–"],
        ["quite_new", "yes", "0", "–", "–", "–"],
    ]
    assert "The suite of explain is gone; if it has another name now: evalops features rename explain NEW" in said.out
    assert "The suite of half_made cannot be used: " in said.out


@pytest.mark.usefixtures("scored")
def test_the_list_for_programs(evalops: Evalops) -> None:
    assert json.loads(evalops("features", "list", "--json").out) == [
        {
            "feature": "explain",
            "suite": "gone",
            "runs": 2,
            "last_window": "2026-11-02",
            "last_score": 3.0,
            "open_incidents": [1],
        },
        {
            "feature": "orders",
            "suite": "yes",
            "runs": 1,
            "last_window": "2026-11-03",
            "last_score": 4.3,
            "open_incidents": [],
        },
    ]


@pytest.mark.usefixtures("scored")
def test_a_renaming_says_what_it_carried_over_and_what_stays(evalops: Evalops) -> None:
    said = evalops("features", "rename", "explain", "orders", "--yes")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "carried over from explain to orders: 2 eval runs, 1 incident, 2 verdicts",
        "In the Dagster UI what was materialized before stays under explain, for Dagster cannot rename an asset; "
        "trend, verdicts and incidents go on as orders.",
    ]
    (row,) = json.loads(evalops("features", "list", "--json").out)
    assert (row["feature"], row["runs"], row["last_window"], row["open_incidents"]) == ("orders", 3, "2026-11-03", [1])


def test_a_renaming_says_what_of_two_did_not_stay(evalops: Evalops, scored: Scored) -> None:
    scored.run(0, "4.000", feature="orders")
    for run in ("1", "4"):
        evalops("baseline", "pin", run, "--reason", "shipped", "--by", "ann")
    said = evalops("features", "rename", "explain", "orders", "--yes", "--keep-new")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[1:3] == [
        "Of 1 window that both had, the run of orders stays in the trend; the other is a manual run now.",
        "The baseline that orders has pinned stays; the other pin was taken back.",
    ]


@pytest.mark.usefixtures("scored")
def test_a_new_name_without_a_suite_is_said_to_have_none(evalops: Evalops) -> None:
    said = evalops("features", "rename", "explain", "tell", "--yes")
    assert "tell has no suite yet; nothing is evaluated under that name before it has one." in said.out.splitlines()


@pytest.mark.usefixtures("scored")
@pytest.mark.parametrize(
    ("answer", "code", "owner"), [("y\n", 0, "orders"), ("n\n", 1, "explain"), ("\n", 1, "explain")]
)
def test_on_a_terminal_it_asks_first(
    evalops: Evalops, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, owner: str
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    said = evalops("features", "rename", "explain", "orders")
    assert (said.code, said.err) == (code, "")
    assert said.out.splitlines()[:2] == [
        "explain has 2 eval runs (windows 2026-11-01 to 2026-11-02) and 1 incident.",
        "orders has 1 eval run (window 2026-11-03) and 0 incidents of its own; afterwards nobody can tell them apart.",
    ]
    assert ("nothing was changed" in said.out) is (code == 1)
    rows = json.loads(evalops("features", "list", "--json").out)
    assert {row["feature"]: row["open_incidents"] for row in rows}[owner] == [1]


def test_it_asks_whether_a_run_may_leave_the_trend(
    evalops: Evalops, monkeypatch: pytest.MonkeyPatch, scored: Scored
) -> None:
    scored.run(0, "4.000", feature="orders")
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    said = evalops("features", "rename", "explain", "orders", "--keep-new")
    assert "Of 1 window that both have, explain's run becomes a manual one." in said.out.splitlines()


@pytest.mark.usefixtures("scored")
def test_where_nobody_can_be_asked_nothing_is_done_without_yes(evalops: Evalops) -> None:
    before = evalops("features", "list", "--json").out
    said = evalops("features", "rename", "explain", "orders")
    assert (said.code, said.out) == (2, "")
    assert said.err == "error: --yes: there is no terminal to ask whether it is meant; say --yes\n"
    assert evalops("features", "list", "--json").out == before


@pytest.mark.usefixtures("scored")
@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("nope", "orders"), "there is no history of 'nope'; there is of explain, orders"),
        (("explain", "explain"), "'explain' is the feature's name already"),
        (("explain", "no name"), "a feature is named by"),
        (("orders", "explain"), "orders still has a suite"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(evalops: Evalops, names: tuple[str, str], words: str) -> None:
    said = evalops("features", "rename", *names, "--yes")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"error: {words}")
    assert len(said.err.splitlines()) == 1


@pytest.mark.usefixtures("scored")
def test_while_an_eval_run_is_in_progress_its_run_is_named(evalops: Evalops, database_url: SecretStr) -> None:
    with Gate(database_url).hold("dagster-run-7", wait_s=0):
        said = evalops("features", "rename", "explain", "orders", "--yes")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(
        "error: an eval run or a day of drift may be in progress, for a gate is held by run dagster-run-7 on "
    )
