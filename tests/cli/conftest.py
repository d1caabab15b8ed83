"""`evalops` in this process, with settings that a test chooses by environment variables."""

import pytest

from tests.cli.calling import Evalops, caller


@pytest.fixture
def evalops(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Evalops:
    return caller(monkeypatch, capsys)
