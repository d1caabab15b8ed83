"""`evalops doctor` over real parts: what it finds, how it says so, and what it never shows."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._daemon.types import DaemonHeartbeat
from pydantic import SecretStr
from sqlalchemy import Engine, make_url, text

from evalops_core.store.gate import Gate
from evalops_core.store.schema import downgrade, head
from tests.builders import JUDGED, write_suite
from tests.cli.calling import Evalops
from tests.location.conftest import instance
from tests.location.test_alert_sensors import switch_on
from tests.mock_fixture import MockOpenAI, mock_openai, mock_process
from tests.mock_resend.fixture import MockResend, mock_resend, resend_process
from tests.store.pooler import transaction_pooler

__all__ = ["instance", "mock_openai", "mock_process", "mock_resend", "resend_process"]

NAMES = [
    *("settings", "database", "schema", "rights", "lock", "dagster", "daemon", "schedule", "suites", "model"),
    *("judge", "embeddings", "mail", "sender", "recipients", "disk", "clock"),
]
MODEL_KEY, JUDGE_KEY, EMBEDDING_KEY = "sk-model-canary-1", "sk-judge-canary-2", "sk-embedding-canary-3"
KEYED = JUDGED.replace("parameters:", "api_key_env: MOCK_KEY, parameters:")


@dataclass(frozen=True)
class Checked:
    """What was found, by name."""

    code: int
    checks: dict[str, dict[str, Any]]
    text: str

    def status(self, name: str) -> str:
        return self.checks[name]["status"]

    def seen(self, name: str) -> str:
        return self.checks[name]["seen"]

    def mend(self, name: str) -> str:
        return self.checks[name]["mend"] or ""

    def failed(self) -> list[str]:
        return [name for name, check in self.checks.items() if check["status"] == "failed"]


@pytest.fixture
def deployment(
    database_url: SecretStr,
    mock_openai: MockOpenAI,
    mock_resend: MockResend,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The environment of a deployment in which everything is configured; its suites' folder."""
    write_suite(tmp_path / "suites", mock_openai.base_url, cases=1, yaml=KEYED)
    mock_resend.configure(domains="example.com")
    for name, value in {
        "DATABASE_URL": database_url.get_secret_value(),
        "HOME": str(tmp_path / "home"),
        "SUITES": str(tmp_path / "suites"),
        "JUDGE_MODEL": "mock-judge",
        "JUDGE_BASE_URL": mock_openai.base_url,
        "JUDGE_API_KEY": JUDGE_KEY,
        "EMBEDDING_MODEL": "mock-embedding",
        "EMBEDDING_BASE_URL": mock_openai.base_url,
        "EMBEDDING_API_KEY": EMBEDDING_KEY,
        "SCHEDULED_ENABLED": "true",
        "RESEND_API_KEY": mock_resend.api_key,
        "RESEND_BASE_URL": mock_resend.base_url,
        "ALERT_TO": "team@example.com",
        "ALERT_FROM": "EvalOps <evals@example.com>",
    }.items():
        monkeypatch.setenv(f"EVALOPS_{name}", value)
    monkeypatch.setenv("MOCK_KEY", MODEL_KEY)
    return tmp_path / "suites"


def examined(evalops: Evalops, *options: str) -> Checked:
    said = evalops("doctor", "--json", *options)
    assert said.err == ""
    answer = json.loads(said.out)
    assert answer["healthy"] == (said.code == 0)
    names = [check["name"] for check in answer["checks"]]
    assert names == NAMES
    assert all(
        (check["mend"] is None) == (check["status"] == "ok")
        for check in answer["checks"]
        if check["status"] != "skipped"
    )
    return Checked(said.code, {check["name"]: check for check in answer["checks"]}, said.out)


@contextmanager
def plain_role(engine: Engine, url: SecretStr) -> Generator[SecretStr]:
    """The URL of a role that may read and write the tables of both schemas, and nothing else."""
    schemas = ("evalops", "dagster")
    with engine.begin() as connection:
        connection.execute(text("CREATE ROLE doctor_plain LOGIN PASSWORD 'plain-canary-5'"))
        for schema in schemas:
            connection.execute(text(f"GRANT USAGE ON SCHEMA {schema} TO doctor_plain"))
            granted = "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES"
            connection.execute(text(f"GRANT {granted} IN SCHEMA {schema} TO doctor_plain"))
    try:
        parsed = make_url(url.get_secret_value()).set(username="doctor_plain", password="plain-canary-5")
        yield SecretStr(parsed.render_as_string(hide_password=False))
    finally:
        with engine.begin() as connection:  # roles outlive a test's database
            connection.execute(text("DROP OWNED BY doctor_plain"))
            connection.execute(text("DROP ROLE doctor_plain"))


def test_a_deployment_with_nothing_wrong_is_healthy_however_strict_one_is_and_nothing_was_paid_or_sent(
    evalops: Evalops,
    instance: dg.DagsterInstance,
    deployment: Path,
    engine: Engine,
    database_url: SecretStr,
    mock_openai: MockOpenAI,
    mock_resend: MockResend,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert deployment
    for daemon in ("SCHEDULER", "SENSOR", "QUEUED_RUN_COORDINATOR"):
        instance.add_daemon_heartbeat(DaemonHeartbeat(datetime.now(timezone.utc).timestamp(), daemon, "d", []))
    switch_on(instance, datetime.now(timezone.utc))
    mock_openai.configure(require_key=MODEL_KEY)
    for name in ("JUDGE", "EMBEDDING"):
        monkeypatch.setenv(f"EVALOPS_{name}_API_KEY", MODEL_KEY)
    with plain_role(engine, database_url) as url:
        monkeypatch.setenv("EVALOPS_DATABASE_URL", url.get_secret_value())
        found = examined(evalops, "--strict")
        shown = evalops("doctor")
        with engine.begin() as connection:
            connection.execute(text("REVOKE INSERT ON evalops.eval_runs FROM doctor_plain"))
            connection.execute(text("REVOKE USAGE ON SCHEMA dagster FROM doctor_plain"))
        poorer = examined(evalops)
    assert {check["status"] for check in found.checks.values()} == {"ok"}
    assert found.code == shown.code == 0
    assert shown.out.splitlines()[-1] == "17 fine"
    assert poorer.failed() == ["rights", "dagster"]
    assert poorer.seen("dagster") == "its tables cannot be read: permission denied for schema dagster"
    assert poorer.seen("rights") == "role doctor_plain lacks INSERT on eval_runs"
    assert mock_openai.requests() == []
    assert mock_resend.mails() == []


@pytest.mark.usefixtures("deployment")
def test_a_wrong_password_is_one_failure_that_leaves_what_else_can_be_known(
    evalops: Evalops, database_url: SecretStr, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = make_url(database_url.get_secret_value()).set(password="wrong-canary-6")
    monkeypatch.setenv("EVALOPS_DATABASE_URL", wrong.render_as_string(hide_password=False))
    found = examined(evalops)
    assert (found.code, found.failed()) == (1, ["database"])
    assert "password authentication failed" in found.seen("database")
    assert found.mend("database") == "Correct user and password in EVALOPS_DATABASE_URL."
    assert [found.status(name) for name in ("schema", "rights", "lock", "dagster")] == ["skipped"] * 4
    assert found.status("model") == "ok"
    assert "canary" not in found.text


@pytest.mark.usefixtures("deployment")
def test_an_older_and_a_missing_schema_are_named_with_the_command_and_the_lock_is_checked_all_the_same(
    evalops: Evalops, engine: Engine
) -> None:
    downgrade(engine, "0002")
    older = examined(evalops)
    assert (older.code, older.failed()) == (1, ["schema"])
    assert older.seen("schema") == f"at 0002_add_eval_run_type, and {head()} is needed"
    assert older.mend("schema") == "Run `evalops db upgrade`."
    assert older.status("lock") == "ok"
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA evalops CASCADE"))
    missing = examined(evalops)
    assert (missing.failed(), missing.status("rights")) == (["schema"], "skipped")


@pytest.mark.usefixtures("deployment")
def test_a_pooler_in_transaction_mode_is_no_way_to_the_lock(
    evalops: Evalops, database_url: SecretStr, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction_pooler(database_url) as pooled:
        monkeypatch.setenv("EVALOPS_DATABASE_URL", pooled.get_secret_value())
        monkeypatch.setenv("EVALOPS_DAGSTER_DATABASE_URL", "postgresql://me@127.0.0.1:9/dagster")
        found = examined(evalops)
    assert found.failed() == ["lock", "dagster"]
    assert "a pooler that shares them between transactions" in found.seen("lock")
    assert "EVALOPS_LOCK_DATABASE_URL" in found.mend("lock")
    assert found.status("schema") == "ok"


@pytest.mark.usefixtures("deployment")
def test_who_holds_the_gate_is_said_and_is_nothing_to_mend(evalops: Evalops, database_url: SecretStr) -> None:
    with Gate(database_url).hold("a-run", wait_s=0):
        found = examined(evalops)
    assert found.status("lock") == "ok"
    assert "that of the eval runs is held by run a-run on " in found.seen("lock")


@pytest.mark.usefixtures("deployment")
def test_keys_that_are_refused_are_failures_and_show_nowhere(
    evalops: Evalops, mock_openai: MockOpenAI, mock_resend: MockResend, database_url: SecretStr
) -> None:
    mock_openai.configure(require_key="sk-another", echo_headers=True)
    mock_resend.configure(api_key="re_another", echo_key=True)
    found = examined(evalops)
    said = evalops("doctor")
    assert (found.code, said.code) == (1, 1)
    assert found.failed() == ["model", "judge", "embeddings", "mail"]
    assert "mock-model (of orders)" in found.seen("model")
    assert "refuses the key (401" in found.seen("model")
    assert [found.mend(name).split()[-1] for name in ("model", "judge", "embeddings")] == [
        "MOCK_KEY.",
        "EVALOPS_JUDGE_API_KEY.",
        "EVALOPS_EMBEDDING_API_KEY.",
    ]
    password = make_url(database_url.get_secret_value()).password
    assert password
    for secret in (MODEL_KEY, JUDGE_KEY, EMBEDDING_KEY, mock_resend.api_key, str(password)):
        assert secret not in found.text + said.out + said.err


def test_an_endpoint_that_is_down_and_a_broken_suite_are_named_with_their_features(
    evalops: Evalops, deployment: Path
) -> None:
    write_suite(deployment, "http://127.0.0.1:9/v1", cases=1, yaml=KEYED)
    write_suite(deployment, "http://127.0.0.1:9/v1", feature="torn", yaml="description: [")
    found = examined(evalops)
    assert found.failed() == ["suites", "model"]
    assert found.seen("suites").startswith("torn: ")
    assert found.seen("model") == (
        "mock-model (of orders): 127.0.0.1:9 could not be reached, or hung up: Connection refused"
    )


@pytest.mark.usefixtures("deployment")
def test_only_when_one_says_so_is_each_endpoint_asked_one_question(evalops: Evalops, mock_openai: MockOpenAI) -> None:
    found = examined(evalops, "--ask")
    kinds = [request["kind"] for request in mock_openai.requests()]
    assert sorted(kinds) == ["embed", "generate", "judge"]
    assert "answered one call, by mock-model" in found.seen("model")
    mock_openai.configure(fail_status=404, fail_message="there is no such model")
    assert examined(evalops, "--ask").failed() == ["model", "judge", "embeddings"]


def test_what_people_read_has_a_line_a_check_and_below_it_what_to_do(
    evalops: Evalops, deployment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert deployment
    monkeypatch.delenv("EVALOPS_RESEND_API_KEY")
    said = evalops("doctor")
    assert said.code == 0
    lines = said.out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("warning  mail "))
    assert lines[at].endswith("there is no key for Resend, so incidents are kept but nobody is mailed")
    assert lines[at + 1].strip().startswith("mend: Set RESEND_API_KEY")
    assert evalops("doctor", "--strict").code == 1


@pytest.mark.usefixtures("deployment")
def test_a_variable_that_is_nearly_a_setting_is_pointed_out(evalops: Evalops, monkeypatch: pytest.MonkeyPatch) -> None:
    assert examined(evalops).status("settings") == "ok"
    monkeypatch.setenv("EVALOPS_MODEL_KEY", MODEL_KEY)
    assert examined(evalops).seen("settings") == "EVALOPS_MODEL_KEY is no setting, and EVALOPS_MODEL_API_KEY is"


def test_settings_that_cannot_be_read_are_a_matter_of_configuration(
    evalops: Evalops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALOPS_UI_PORT", "many")
    said = evalops("doctor", "--json")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: EVALOPS_UI_PORT: ")
