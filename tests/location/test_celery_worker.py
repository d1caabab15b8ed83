"""The app of Celery workers: what it executes and how, and what it refuses to start with."""

import importlib
import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from celery import Celery
from dagster_celery.launcher import CeleryRunLauncher

from evalops_core.errors import ConfigError
from evalops_core.settings import load_settings
from evalops_dagster.celery_worker import make_worker_app

URL = "redis://127.0.0.1:1/0"


def launcher(backend: str = URL, config_source: dict[str, Any] | None = None) -> CeleryRunLauncher:
    return CeleryRunLauncher("dagster", broker=URL, backend=backend, config_source=config_source)


@pytest.mark.usefixtures("instance")
def test_it_executes_whole_runs_each_in_a_process_of_its_own_and_never_twice() -> None:
    app = make_worker_app(launcher(), load_settings())
    dagster = {name for name in app.tasks if not str(name).startswith("celery.")}
    assert dagster == {"execute_job"}, "single steps are executed, too"
    assert not app.tasks["execute_job"].acks_late
    assert app.tasks["execute_job"].track_started
    assert (app.conf.worker_concurrency, app.conf.worker_max_tasks_per_child) == (1, 1)
    assert app.conf.worker_disable_prefetch
    assert (app.conf.broker_url, app.conf.result_backend) == (URL, URL)


@pytest.mark.usefixtures("instance")
def test_config_source_comes_before_the_defaults_but_a_run_is_never_acknowledged_late() -> None:
    app = make_worker_app(launcher(config_source={"worker_concurrency": 3, "task_acks_late": True}), load_settings())
    assert (app.conf.worker_concurrency, app.conf.worker_max_tasks_per_child) == (3, 1)
    assert not app.tasks["execute_job"].acks_late


def test_another_launcher_a_database_of_this_machine_and_a_backend_that_nobody_reads_are_refused(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="run_launcher: is expected to be dagster_celery's CeleryRunLauncher"):
        make_worker_app(instance.run_launcher, load_settings())
    with pytest.raises(ConfigError, match="backend: is expected to be a result backend that every process can read"):
        make_worker_app(launcher(backend="rpc://"), load_settings())
    monkeypatch.delenv("EVALOPS_DATABASE_URL")
    with pytest.raises(ConfigError, match="EVALOPS_DATABASE_URL: is not set, and the CeleryRunLauncher"):
        make_worker_app(launcher(), load_settings())


@pytest.mark.usefixtures("instance")
def test_the_worker_s_module_has_the_app_or_ends_the_process_with_the_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "dagster home"
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with pytest.raises(SystemExit) as ended:
        importlib.import_module("evalops_dagster.celery_app")
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("run_launcher: is expected to be dagster_celery's CeleryRunLauncher")

    config = {"broker": {"env": "CELERY_BROKER_URL"}, "backend": {"env": "CELERY_RESULT_BACKEND"}}
    block = {"module": "dagster_celery.launcher", "class": "CeleryRunLauncher", "config": config}
    with (home / "dagster.yaml").open("a") as file:
        file.write(f"\nrun_launcher: {json.dumps(block)}\n")
    monkeypatch.setenv("CELERY_BROKER_URL", URL)
    monkeypatch.setenv("CELERY_RESULT_BACKEND", URL)
    app = importlib.import_module("evalops_dagster.celery_app").app
    assert isinstance(app, Celery)
    assert app.conf.broker_url == URL
