"""The mock as a pytest fixture: `from tests.mock_resend.fixture import mock_resend, resend_process` in a conftest.

The process is started once a session; each test gets it with nothing recorded and nothing configured.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from tests.mock_resend.settings import Behaviour

_ROOT = Path(__file__).parents[2]
_DIRECT = build_opener(ProxyHandler({}))  # a proxy of the environment leads past loopback


@dataclass(frozen=True)
class MockResend:
    """A running mock; `base_url` and `api_key` are what mailers are given. Its methods block."""

    port: int
    api_key: str = Behaviour.api_key

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def configure(self, **settings: Any) -> None:
        """Changes fields of `Behaviour`; the others stay. A fault's `fault_times` are counted anew."""
        self._call("/config", settings)

    def reset(self) -> None:
        """Everything forgotten, every setting at its default; requests that are held end."""
        self._call("/config", Behaviour().as_json())
        self._call("/reset", {})

    def mails(self) -> list[dict[str, Any]]:
        """The mails that were taken: id, key, from, to (a list), subject, html, text, headers, attachments, …"""
        return self._call("/mails")

    def requests(self) -> list[dict[str, Any]]:
        """In the order they came: key, outcome."""
        return self._call("/requests")

    def outcomes(self) -> list[str]:
        return [request["outcome"] for request in self.requests()]

    def stats(self) -> dict[str, Any]:
        return self._call("/stats")

    def wait_for(self, *, timeout_s: float = 30.0, **at_least: int) -> dict[str, Any]:
        """The stats once there are at least so many `mails`, `requests` or `in_flight`. AssertionError otherwise."""
        query = urlencode({**at_least, "timeout": timeout_s})
        stats = self._call(f"/stats?{query}", timeout_s=timeout_s + 10)
        assert stats["reached"], f"waited {timeout_s:.4g} s for {at_least}, but there are {stats}"
        return stats

    def _call(self, path: str, body: Any = None, *, timeout_s: float = 10.0) -> Any:
        data = None if body is None else json.dumps(body).encode()
        asked = Request(f"{self.base_url}{path}", data=data)  # noqa: S310  # http:// and nothing else
        with _DIRECT.open(asked, timeout=timeout_s) as answer:
            return json.load(answer)


def start_mock_resend(*flags: str) -> tuple[subprocess.Popen[str], MockResend]:
    """A mock in a process of its own, which ends with its standard input (so with whoever started it)."""
    command = [sys.executable, "-m", "tests.mock_resend", "--port", "0", "--until-stdin-closes", *flags]
    process = subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, MockResend(int(process.stdout.readline()))


@pytest.fixture(scope="session")
def resend_process() -> Iterator[MockResend]:
    process, mock = start_mock_resend()
    with process:
        yield mock
        process.terminate()


@pytest.fixture
def mock_resend(resend_process: MockResend) -> MockResend:
    resend_process.reset()
    return resend_process
