"""Evaluations against the mock endpoint, over a database of the test's own."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from evalops_core.wiring import Workshop
from tests.builders import judge_settings, make_workshop
from tests.mock_fixture import MockOpenAI, mock_openai, mock_process

__all__ = ["mock_openai", "mock_process"]


@pytest.fixture
def workshop(engine: Engine, mock_openai: MockOpenAI, tmp_path: Path) -> Workshop:
    return make_workshop(engine, judge_settings(mock_openai.base_url, tmp_path / "home"))
