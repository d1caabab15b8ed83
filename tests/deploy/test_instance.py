import re
from collections.abc import Mapping
from typing import Any

from tests.deploy.files import DEPLOY, compose, dagster_yaml, values


def snaked(value: Any) -> Any:
    """The chart's names as dagster.yaml's; `applyLimitPerUniqueValue` is spelled so in both."""
    if isinstance(value, Mapping):
        return {_snake(key): snaked(item) for key, item in value.items()}
    return [snaked(item) for item in value] if isinstance(value, list) else value


def _snake(key: str) -> str:
    return (
        key
        if key == "applyLimitPerUniqueValue"
        else re.sub(r"(?<!^)([A-Z])", lambda upper: f"_{upper[1].lower()}", key)
    )


def test_the_charts_queue_and_pools_are_those_of_dagster_yaml() -> None:
    concurrency = snaked(values()["concurrency"])

    assert concurrency.pop("enabled") is True
    assert concurrency == dagster_yaml()["concurrency"]


def test_the_chart_monitors_and_retries_runs_as_dagster_yaml_does() -> None:
    daemon, ours = snaked(values()["dagsterDaemon"]), dagster_yaml()

    assert daemon["run_monitoring"].pop("max_resume_run_attempts") == 0
    assert daemon["run_monitoring"] == ours["run_monitoring"]
    assert daemon["run_retries"] == ours["run_retries"]
    assert (daemon["sensors"], daemon["schedules"]) == (ours["sensors"], ours["schedules"])


def test_the_chart_takes_runs_from_the_queue_as_often_as_dagster_yaml_does() -> None:
    coordinator = snaked(values()["dagsterDaemon"]["runCoordinator"]["config"]["queuedRunCoordinator"])

    assert coordinator["dequeue_interval_seconds"] == dagster_yaml()["run_queue"]["dequeue_interval_seconds"]


def test_the_chart_sends_nothing_home_either() -> None:
    assert values()["telemetry"] == dagster_yaml()["telemetry"]
    assert values()["additionalInstanceConfig"]["nux"] == dagster_yaml()["nux"]


def test_the_chart_finds_dagsters_tables_where_the_migration_makes_them() -> None:
    assert values()["postgresql"]["postgresqlParams"] == {"options": "-cTimeZone=UTC -csearch_path=dagster"}
    assert values()["postgresql"]["enabled"] is False


def test_the_chart_launches_one_pod_a_run() -> None:
    assert values()["runLauncher"]["type"] == "K8sRunLauncher"


def test_image_and_units_use_the_projects_own_dagster_yaml() -> None:
    dockerfile = (DEPLOY / "docker" / "Dockerfile").read_text()

    assert re.search(
        r"^COPY dagster\.yaml deploy/docker/workspace\.yaml /opt/dagster/dagster_home/$", dockerfile, re.MULTILINE
    )
    assert "DAGSTER_HOME=/opt/dagster/dagster_home" in dockerfile
    assert list(DEPLOY.rglob("dagster.yaml")) == []
    mounted = [volume for service in compose()["services"].values() for volume in service.get("volumes", [])]
    assert not [volume for volume in mounted if "dagster.yaml" in volume]
