"""`evalops baseline`."""

import getpass
import json
import re
from datetime import datetime, timezone
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from tests.cli.calling import Evalops
from tests.run.scored import Scored


@pytest.fixture(autouse=True)
def deployment(database_url: SecretStr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALOPS_DATABASE_URL", database_url.get_secret_value())
    monkeypatch.setenv("EVALOPS_HOME", str(tmp_path / "home"))


@pytest.fixture
def scored(engine: Engine) -> Scored:
    """Runs 1 and 2 of `explain`, scheduled, and 3 by hand."""
    made = Scored(engine)
    made.runs(["4.000", "4.100"])
    made.run(2, "4.200", run_type="manual")
    return made


@pytest.mark.usefixtures("scored")
def test_a_run_is_pinned_with_who_and_why(evalops: Evalops) -> None:
    said = evalops("baseline", "pin", "1", "--reason", " release 2.1 ", "--by", "ann")
    assert (said.code, said.err) == (0, "")
    assert said.out == "run 1 (4.000, window 2026-11-01) is the baseline of explain, pinned by ann\n"
    (row,) = json.loads(evalops("baseline", "list", "--json").out)
    when = datetime.fromisoformat(row.pop("pinned_at"))
    assert abs((datetime.now(timezone.utc) - when).total_seconds()) < 3600
    assert row == {
        "feature": "explain",
        "run": 1,
        "run_type": "scheduled",
        "window": "2026-11-01",
        "score": 4.0,
        "model": "small-1",
        "git_sha": "sha0",
        "reason": "release 2.1",
        "pinned_by": "ann",
    }


@pytest.mark.usefixtures("scored")
def test_pinning_another_run_takes_the_place_of_the_one_before(evalops: Evalops) -> None:
    evalops("baseline", "pin", "1", "--reason", "old", "--by", "ann")
    said = evalops("baseline", "pin", "3", "--reason", "made by hand", "--by", "bob")
    assert (said.code, "in the place of run 1, pinned by bob" in said.out) == (0, True)
    rows = [re.split(r"\s{2,}", line.strip()) for line in evalops("baseline").out.splitlines() if "explain" in line]
    (row,) = rows
    assert [row[0], row[1], row[3], *row[5:]] == ["explain", "3", "4.200", "bob", "made by hand"]


@pytest.mark.usefixtures("scored")
def test_without_a_name_it_is_the_login_s(evalops: Evalops) -> None:
    evalops("baseline", "pin", "1", "--reason", "shipped")
    (row,) = json.loads(evalops("baseline", "list", "--json").out)
    assert row["pinned_by"] == getpass.getuser()


@pytest.mark.usefixtures("scored")
def test_unpinning_says_what_is_compared_with_then(evalops: Evalops) -> None:
    evalops("baseline", "pin", "2", "--reason", "shipped")
    said = evalops("baseline", "unpin", "explain")
    assert (said.code, said.err) == (0, "")
    assert said.out == "run 2 is no longer pinned; explain is compared with the scheduled runs before\n"
    assert evalops("baseline", "list").out.startswith("No baseline is pinned")
    assert json.loads(evalops("baseline", "list", "--json").out) == []
    again = evalops("baseline", "unpin", "explain")
    assert (again.code, again.out) == (2, "")
    assert again.err == "error: no baseline of 'explain' is pinned; features with one: none\n"


@pytest.mark.parametrize(
    ("status", "score", "words"),
    [
        ("partial", "4.000", "eval run 1 of explain is partial (it is partial); only a completed run with a score"),
        ("invalid", "4.000", "eval run 1 of explain is invalid (it is invalid); only"),
        ("failed", None, "eval run 1 of explain is failed (it is failed); only"),
        ("completed", None, "eval run 1 of explain has no score; only"),
    ],
)
def test_a_run_that_is_not_valid_is_refused_and_nothing_changes(
    evalops: Evalops, engine: Engine, status: str, score: str | None, words: str
) -> None:
    Scored(engine).run(1, score, status=status)  # pyright: ignore[reportArgumentType]  # a status
    said = evalops("baseline", "pin", "1", "--reason", "shipped")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"error: {words}")
    assert json.loads(evalops("baseline", "list", "--json").out) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["9", "--reason", "x"], "there is no eval run 9"),
        (["1", "--reason", "  "], "--reason: expected a few words"),
        (["1", "--reason", "x", "--by", " "], "--by: expected a name"),
        (["1"], "--reason"),
        (["0", "--reason", "x"], "RUN"),
        ([str(2**63), "--reason", "x"], "RUN"),
    ],
)
@pytest.mark.usefixtures("scored")
def test_what_cannot_be_meant_is_one_sentence(evalops: Evalops, arguments: list[str], words: str) -> None:
    said = evalops("baseline", "pin", *arguments)
    assert (said.code, said.out) == (2, "")
    assert words in said.err.splitlines()[-1]
