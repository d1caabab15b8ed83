"""`evalops gate status`."""

import json
import uuid

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from evalops_core.store.gate import Gate
from evalops_dagster.cli.gate import app


def test_a_free_gate_is_said_to_be_free(database_url: SecretStr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALOPS_DATABASE_URL", database_url.get_secret_value())
    shown = CliRunner().invoke(app, ["status"])
    assert (shown.exit_code, shown.output) == (0, "the gate is free\n")


def test_a_held_gate_names_its_run_host_and_since_when(
    database_url: SecretStr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALOPS_DATABASE_URL", database_url.get_secret_value())
    run = str(uuid.uuid4())
    with Gate(database_url).hold(run, wait_s=0):
        words = CliRunner().invoke(app, ["status"]).output
        held = json.loads(CliRunner().invoke(app, ["status", "--json"]).output)["held"]
    assert words.startswith(f"the gate is held by run {run} on ")
    assert held["run"] == run
    assert held["host"]
    assert held["since"].endswith("+00:00")
