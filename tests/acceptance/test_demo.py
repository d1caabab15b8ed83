"""`evalops demo --exit`: from nothing to a table of scores, and the same again within the window for free."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.acceptance.dev_stack import Home
from tests.builders import environment, write_suite
from tests.mock_fixture import MockOpenAI

pytestmark = pytest.mark.process

NOBODY = "http://127.0.0.1:9/v1"  # the discard port, where nothing listens


@pytest.fixture
def home(tmp_path: Path, mock_openai: MockOpenAI) -> Iterator[Home]:
    own = Home(tmp_path, environment(SecretStr(""), tmp_path / "home", tmp_path / "suites", mock_openai.base_url))
    own.variables["EVALOPS_CALL_MAX_ATTEMPTS"] = "1"
    yield own
    own.end()


def test_a_failing_feature_is_explained_the_others_are_shown_and_a_window_is_paid_once(
    home: Home, mock_openai: MockOpenAI
) -> None:
    suites = home.folder / "suites"
    write_suite(suites, mock_openai.base_url, cases=6)
    write_suite(suites, mock_openai.base_url, feature="torn", yaml="description: [")
    absent = write_suite(suites, NOBODY, feature="absent", cases=3)
    first = home.run("demo", "--exit", "--port", "0")

    assert first.returncode == 1
    assert "evaluating absent, orders: 9 cases, for the current window" in first.stdout
    (row,) = [line for line in first.stdout.splitlines() if " ± " in line]
    assert row.split()[0] == "orders"
    assert "6/6" in row
    assert f"not evaluated: {suites / 'torn' / 'suite.yaml'}:" in first.stdout
    assert "The same in the UI, with every case: http://127.0.0.1:" in first.stdout
    assert first.stderr.startswith("error: absent/responses: no case of absent got a response: ")
    assert first.stderr.count("\n") == 1
    assert home.processes() == []

    asked = len(mock_openai.requests())
    assert asked == 12
    for file in absent.iterdir():
        file.unlink()
    second = home.run("demo", "--exit", "--port", "0")

    assert (second.returncode, second.stderr) == (0, "")
    assert "already evaluated in this window, so nothing is called again: orders" in second.stdout
    assert "6/6" in second.stdout
    assert "\x1b" not in second.stdout
    assert len(mock_openai.requests()) == asked
    assert home.processes() == []
