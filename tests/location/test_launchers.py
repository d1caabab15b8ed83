"""Run launchers for other machines: the documented blocks fit their classes, and need a database that all share."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._config import process_config
from dagster._serdes import ConfigurableClass
from dagster_celery.launcher import CeleryRunLauncher
from dagster_docker import DockerRunLauncher
from dagster_k8s import K8sRunLauncher
from pydantic import SecretStr

from evalops_core.domain.window import window_of
from evalops_core.errors import ConfigError
from evalops_core.settings import load_settings
from evalops_core.wiring import installed_since
from evalops_dagster.definitions import build_definitions
from evalops_dagster.launchers import refuse_database_of_one_machine
from tests.builders import make_suite
from tests.launcher_blocks import documented_launchers
from tests.mock_fixture import MockOpenAI

PROJECT = Path(__file__).parents[2]
VARIABLES = {"CELERY_BROKER_URL": "redis://broker:6379/0", "CELERY_RESULT_BACKEND": "redis://broker:6379/1"}
ELSEWHERE = {"module": "dagster_docker", "class": "DockerRunLauncher", "config": {"image": "evalops:1"}}


def test_every_launcher_that_has_an_extra_is_documented_launchers() -> None:
    assert set(documented_launchers()) == {"CeleryRunLauncher", "DockerRunLauncher", "K8sRunLauncher"}


@pytest.mark.parametrize("launcher", [CeleryRunLauncher, DockerRunLauncher, K8sRunLauncher])
def test_a_documented_block_is_accepted_by_the_class_that_it_names(
    launcher: type[ConfigurableClass], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    block = documented_launchers()[launcher.__name__]
    found = process_config(launcher.config_type(), block["config"])
    assert found.success, found.errors
    misspelt = {**block["config"], "no_such_key": 1}
    assert not process_config(launcher.config_type(), misspelt).success


def test_dagster_makes_the_documented_launchers_that_need_no_cluster_for_it(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert instance.is_persistent
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    for kind in (CeleryRunLauncher, DockerRunLauncher):
        with configured(tmp_path / "dagster home", documented_launchers()[kind.__name__]) as other:
            assert isinstance(other.run_launcher, kind)
            assert other.run_launcher.supports_check_run_worker_health
            assert other.run_monitoring_enabled
            assert other.run_monitoring_max_resume_run_attempts == 0


def test_a_run_that_another_machine_may_have_needs_a_database_that_all_share(
    instance: dg.DagsterInstance,
    bare_database_url: SecretStr,
    mock_openai: MockOpenAI,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert instance.is_persistent
    suite = make_suite(tmp_path / "suites", mock_openai.base_url, cases=1)
    since = installed_since(load_settings())
    job = build_definitions(suites={"orders": suite}, since=since).resolve_job_def("eval_daily")
    monkeypatch.setenv("EVALOPS_DAGSTER_DATABASE_URL", bare_database_url.get_secret_value())
    monkeypatch.delenv("EVALOPS_DATABASE_URL")
    with configured(tmp_path / "dagster home", ELSEWHERE) as other:
        result = job.execute_in_process(instance=other, partition_key=window_of(since, 24).key, raise_on_error=False)
        said = "\n".join(str(entry) for entry in other.all_logs(result.run_id))
    assert not result.success
    assert "EVALOPS_DATABASE_URL: is not set, and the DockerRunLauncher of dagster.yaml starts runs on other" in said
    assert not mock_openai.requests()
    assert not (load_settings().home / "postgres").exists(), "an embedded server was started all the same"


def test_runs_of_this_machine_may_have_the_embedded_database(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with configured(tmp_path / "dagster home", ELSEWHERE) as elsewhere:
        refuse_database_of_one_machine(elsewhere, load_settings())
        monkeypatch.delenv("EVALOPS_DATABASE_URL")
        settings = load_settings()
        with pytest.raises(ConfigError, match="EVALOPS_DATABASE_URL"):
            refuse_database_of_one_machine(elsewhere, settings)
    refuse_database_of_one_machine(instance, settings)
    refuse_database_of_one_machine(None, settings)
    with dg.DagsterInstance.ephemeral() as passing:
        refuse_database_of_one_machine(passing, settings)


def configured(home: Path, launcher: dict[str, Any]) -> dg.DagsterInstance:
    """The project's instance with this run launcher; `home` has its `dagster.yaml`."""
    project = (PROJECT / "dagster.yaml").read_text()
    (home / "dagster.yaml").write_text(f"{project}\nrun_launcher: {json.dumps(launcher)}\n")
    return dg.DagsterInstance.from_config(str(home))
