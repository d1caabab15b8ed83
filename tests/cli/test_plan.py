"""`evalops plan`."""

import json
import re
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from tests.cli.calling import Evalops, settle
from tests.run.scored import Scored
from tests.run.test_power import PRICES, noisy


@pytest.fixture(autouse=True)
def deployment(database_url: SecretStr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(monkeypatch, tmp_path, database_url, cases=20, torn=True)


def test_a_suite_without_history_says_what_is_assumed(evalops: Evalops) -> None:
    said = evalops("plan", "orders")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(
        "orders: the smallest drop found with 80 % power is 0.501 (rule B, assumed noise, 20 cases, repeats 1)"
    )
    assert "noise: assumed, not measured: a case's score has a standard deviation of 0.5" in said.out
    rows = [re.split(r"\s{2,}", line.strip()) for line in said.out.splitlines()]
    assert ["today", "20", "1", "0.501", "0.158", "unknown"] in rows
    assert ["80", "1", "0.250", "0.079", "unknown"] in rows
    assert "nobody knows the price of mock-model; EVALOPS_PRICES can tell it" in said.out
    assert "$0" not in said.out
    assert (
        max(map(len, [line for line in said.out.splitlines() if not line.startswith(("noise", "note", "cost"))])) < 120
    )


def test_json_has_the_numbers_of_the_table_and_their_basis(
    evalops: Evalops, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALOPS_PRICES", json.dumps(PRICES))
    noisy(Scored(engine), 6, 0.3)
    found = json.loads(evalops("plan", "orders", "--json").out)
    assert (found["feature"], found["method"], found["assumed"], found["runs"]) == ("orders", "history", False, 6)
    today, *others = found["options"]
    assert (today["today"], today["cases"], today["repeats"], len(others)) == (True, 20, 1, 6)
    assert found["detectable"] == today["detectable"]
    assert today["cost_per_day_usd"] > 0
    assert others[2]["cost_per_day_usd"] == pytest.approx(4 * today["cost_per_day_usd"])
    assert others[2]["detectable"] < today["detectable"]
    assert found["unpriced"] == []


def test_with_history_the_table_says_which_runs_it_is_from(evalops: Evalops, engine: Engine) -> None:
    noisy(Scored(engine), 6, 0.3)
    said = evalops("plan", "orders")
    assert "(rule C, 20 cases, repeats 1)" in said.out.splitlines()[0]
    assert "noise: the noise of each case between the last 6 comparable runs (rule C)" in said.out


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        ("ordres", "error: FEATURE: there is no suite of a feature 'ordres'; there are orders"),
        ("torn", "suite.yaml"),
    ],
)
def test_a_feature_without_a_usable_suite_is_refused(evalops: Evalops, feature: str, words: str) -> None:
    said = evalops("plan", feature)
    assert (said.code, said.out) == (2, "")
    assert words in said.err.splitlines()[-1]
