"""The mock endpoint as a pytest fixture: `from tests.mock_fixture import mock_openai, mock_process` in a conftest.

The process is started once a session; each test gets it with nothing recorded and nothing configured.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.mock_openai.settings import Behaviour

_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class MockOpenAI:
    """A running mock; `base_url` is what clients are given. Its methods block, so call them outside of event loops."""

    port: int

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def configure(self, **settings: Any) -> None:
        """Changes fields of `Behaviour`; the others stay."""
        self._call("/config", settings)

    def reset(self) -> None:
        """Everything forgotten, every setting at its default."""
        self._call("/config", Behaviour().as_json())
        self._call("/reset", {})

    def stats(self) -> dict[str, Any]:
        return self._call("/stats")

    def requests(self) -> list[dict[str, Any]]:
        """In the order they came: key, kind, attempt, outcome."""
        return self._call("/requests")

    def outcomes(self) -> Counter[str]:
        return Counter(request["outcome"] for request in self.requests())

    def _call(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(f"http://127.0.0.1:{self.port}{path}", data=data), timeout=10) as answer:
            return json.load(answer)


def start_mock() -> tuple[subprocess.Popen[str], MockOpenAI]:
    """A mock in a process of its own, which ends with its standard input (so with whoever started it)."""
    command = [sys.executable, "-m", "tests.mock_openai", "--port", "0", "--until-stdin-closes"]
    process = subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, MockOpenAI(int(process.stdout.readline()))


@pytest.fixture(scope="session")
def mock_process() -> Iterator[MockOpenAI]:
    process, mock = start_mock()
    with process:
        yield mock
        process.terminate()


@pytest.fixture
def mock_openai(mock_process: MockOpenAI) -> MockOpenAI:
    mock_process.reset()
    return mock_process
