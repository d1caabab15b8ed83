"""A real Dagster instance, configured by the project's own `dagster.yaml`, in the test's database."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from evalops_core.wiring import Workshop
from tests.builders import environment, judge_settings, make_workshop
from tests.mock_fixture import MockOpenAI, mock_openai, mock_process

__all__ = ["mock_openai", "mock_process"]

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def instance(
    database_url: SecretStr, mock_openai: MockOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    home = tmp_path / "dagster home"
    home.mkdir()
    shutil.copy(PROJECT / "dagster.yaml", home)
    for name, value in environment(database_url, tmp_path, tmp_path / "suites", mock_openai.base_url).items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


@pytest.fixture
def workshop(engine: Engine, mock_openai: MockOpenAI, tmp_path: Path) -> Workshop:
    return make_workshop(engine, judge_settings(mock_openai.base_url, tmp_path))
