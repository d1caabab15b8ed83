"""What Dagster's own storage tells of the daemon and the schedules."""

from datetime import datetime, timezone

import dagster as dg
import pytest
from dagster._daemon.types import DaemonHeartbeat
from pydantic import SecretStr
from sqlalchemy import Engine, text

from evalops_core.run.doctor.finding import Finding
from evalops_core.settings import load_settings
from evalops_dagster.background import look_at_dagster
from tests.location.test_alert_sensors import switch_on

NOW = datetime.now(timezone.utc)


def beat(instance: dg.DagsterInstance, daemon: str, ago_s: float = 0.0) -> None:
    instance.add_daemon_heartbeat(DaemonHeartbeat(datetime.now(timezone.utc).timestamp() - ago_s, daemon, "d", []))


def look(url: SecretStr | None) -> list[Finding]:
    return look_at_dagster(load_settings(scheduled_enabled=True), url)


def test_what_the_daemon_and_the_ui_wrote_is_read(instance: dg.DagsterInstance, database_url: SecretStr) -> None:
    assert [found.status for found in look(database_url)] == ["ok", "warning", "warning"]
    for daemon in ("SCHEDULER", "SENSOR", "QUEUED_RUN_COORDINATOR"):
        beat(instance, daemon)
    switch_on(instance, NOW)
    found = look(database_url)
    assert [it.status for it in found] == ["ok", "ok", "ok"]
    assert found[2].seen.startswith("eval_schedule is switched on")
    beat(instance, "SENSOR", ago_s=7_200)
    assert look(database_url)[1].seen == "the daemon's sensors has not shown itself for 2 h"


def test_a_pool_that_is_missing_is_named_and_not_made(
    instance: dg.DagsterInstance, database_url: SecretStr, engine: Engine
) -> None:
    assert instance.event_log_storage.get_pool_limits()
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM dagster.concurrency_limits"))
        connection.execute(text("DELETE FROM dagster.concurrency_slots"))
    for _ in range(2):
        found = look(database_url)[0]
        assert (found.status, found.seen) == (
            "warning",
            "there is no pool evalops_drift, evalops_gate, for which runs queue",
        )


def test_before_dagster_has_run_there_is_nothing_to_look_at(
    database_url: SecretStr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALOPS_DATABASE_URL", database_url.get_secret_value())
    assert [found.status for found in look(database_url)] == ["skipped"] * 3


def test_a_database_of_dagster_s_own_that_is_out_of_reach_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [found.status for found in look(None)] == ["skipped"] * 3
    monkeypatch.setenv("EVALOPS_DAGSTER_DATABASE_URL", "postgresql://me:s3cret@127.0.0.1:9/dagster")
    found = look(None)
    assert [it.status for it in found] == ["failed", "skipped", "skipped"]
    assert found[0].seen.startswith("cannot connect to database dagster at 127.0.0.1:9")
    assert "s3cret" not in str(found)
