"""The settings as they are shown."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from evalops_dagster.cli import app
from evalops_dagster.cli.settings import settings_page

PROJECT = Path(__file__).parents[2]


def test_the_documentation_lists_the_settings_as_the_code_has_them() -> None:
    page = (PROJECT / "docs" / "settings.md").read_text()
    assert page == settings_page(), "run: evalops settings --markdown > docs/settings.md"


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALOPS_JUDGE_API_KEY", "sk-very-secret")
    monkeypatch.setenv("EVALOPS_MAX_CONCURRENCY", "31")
    shown = CliRunner().invoke(app, ["settings"])
    assert shown.exit_code == 0
    assert "31" in shown.output
    assert "very-secret" not in shown.output
