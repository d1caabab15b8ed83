"""Dagster's record of old runs, in a real instance: what has ended goes, what has not stays."""

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import RemoteInstigatorOrigin
from dagster._core.scheduler.instigation import TickData, TickStatus
from dagster._core.test_utils import create_run_for_test
from pydantic import SecretStr
from sqlalchemy import Engine, text

from evalops_dagster.event_purge import old_events, purge_events

PROJECT = Path(__file__).parents[2]
NOW = datetime.now(timezone.utc)
OLD = NOW - timedelta(days=100)
BEFORE = NOW - timedelta(days=90)


@pytest.fixture
def home(tmp_path: Path, database_url: SecretStr, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVALOPS_DATABASE_URL", database_url.get_secret_value())
    monkeypatch.setenv("EVALOPS_HOME", str(tmp_path / "home"))
    shutil.copy(PROJECT / "dagster.yaml", tmp_path)
    return tmp_path


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


@dg.asset
def answer() -> None:
    print("to be captured")


def ran(instance: dg.DagsterInstance) -> str:
    return dg.materialize([answer], instance=instance).run_id


def age(engine: Engine, *runs: str) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE dagster.runs SET update_timestamp = :old, create_timestamp = :old WHERE run_id = ANY(:runs)"),
            {"old": OLD.replace(tzinfo=None), "runs": list(runs)},
        )


def events(engine: Engine, run_id: str) -> int:
    with engine.connect() as connection:
        query = text("SELECT count(*) FROM dagster.event_logs WHERE run_id = :run")
        return connection.execute(query, {"run": run_id}).scalar_one()


def test_old_runs_that_have_ended_go_with_events_and_output_and_all_others_stay(
    instance: dg.DagsterInstance, engine: Engine, home: Path
) -> None:
    old, young = ran(instance), ran(instance)
    waiting = create_run_for_test(instance, job_name="j", status=dg.DagsterRunStatus.NOT_STARTED).run_id
    going_on = create_run_for_test(instance, job_name="j", status=dg.DagsterRunStatus.STARTED).run_id
    age(engine, old, waiting, going_on)
    found = old_events(instance, BEFORE)
    assert (found.runs, found.first, found.last) == (1, OLD, OLD)
    assert events(engine, old) > 5
    output = home / "storage" / old
    assert output.is_dir()

    assert purge_events(instance, BEFORE) == 1
    assert not instance.has_run(old)
    assert all(instance.has_run(run) for run in (young, waiting, going_on))
    assert (events(engine, old), output.exists()) == (0, False)
    assert events(engine, young) > 5
    assert (home / "storage" / young).is_dir()
    assert instance.get_latest_materialization_event(dg.AssetKey("answer")) is not None
    assert purge_events(instance, BEFORE) == 0


def test_a_purge_cut_short_amid_a_run_finds_the_rest_of_it_again(
    instance: dg.DagsterInstance, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = ran(instance)
    age(engine, old)

    def killed(_: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(instance, "delete_run", killed)
        with pytest.raises(KeyboardInterrupt):
            purge_events(instance, BEFORE)
    assert (events(engine, old), instance.has_run(old)) == (0, True)
    assert purge_events(instance, BEFORE) == 1
    assert not instance.has_run(old)


def test_old_ticks_go_and_the_state_of_schedules_stays(instance: dg.DagsterInstance) -> None:
    from dagster._core.definitions.run_request import InstigatorType
    from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
    from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, ScheduleInstigatorData

    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("evalops"), "__repository__")
    origin = RemoteInstigatorOrigin(repository, "eval_schedule")
    data = ScheduleInstigatorData("17 3 * * *", start_timestamp=OLD.timestamp())
    state = InstigatorState(origin, InstigatorType.SCHEDULE, InstigatorStatus.RUNNING, data)
    instance.add_instigator_state(state)
    for moment, status in (
        (OLD, TickStatus.SUCCESS),
        (OLD, TickStatus.SKIPPED),
        (OLD, TickStatus.STARTED),
        (NOW, TickStatus.SUCCESS),
    ):
        instance.create_tick(
            TickData(
                instigator_origin_id=state.instigator_origin_id,
                instigator_name="eval_schedule",
                instigator_type=InstigatorType.SCHEDULE,
                status=status,
                timestamp=moment.timestamp(),
                selector_id=state.selector_id,
                run_ids=[],
            )
        )
    assert old_events(instance, BEFORE).instigators == 1
    purge_events(instance, BEFORE)
    kept = instance.get_ticks(state.instigator_origin_id, state.selector_id)
    assert sorted(tick.status.value for tick in kept) == ["STARTED", "SUCCESS"]
    assert [one.status for one in instance.all_instigator_state()] == [InstigatorStatus.RUNNING]
