"""The heartbeat's ticks on a real instance: when a loopback server is asked, and what Dagster is told of it."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent
from sqlalchemy import Engine

from evalops_core.domain.suite import Suite
from evalops_core.run.detect import detect
from evalops_core.wiring import Workshop
from evalops_dagster.definitions import build_definitions
from evalops_dagster.tags import ROOT_RUN, RUN_TYPE
from tests.location.test_alert_sensors import Ticks, suites
from tests.providers.listener import Listener, listening
from tests.run.scored import START, Scored, rules

__all__ = ["suites"]

TOKEN = "token-7f3a"
START_EVENT, SUCCESS, FAILURE = (
    dg.DagsterEventType.PIPELINE_START,
    dg.DagsterEventType.PIPELINE_SUCCESS,
    dg.DagsterEventType.PIPELINE_FAILURE,
)
Report = Callable[[str, dg.DagsterEventType], None]


@pytest.fixture
def today() -> int:
    """The day whose window is open, as `Scored` counts."""
    return (datetime.now(timezone.utc) - START).days


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    with listening() as listener:
        monkeypatch.setenv("EVALOPS_HEARTBEAT_URL", f"{listener.url}/{TOKEN}")
        yield listener


@pytest.fixture
def heartbeat(suites: Mapping[str, Suite], instance: dg.DagsterInstance) -> Ticks:
    return Ticks(suites, instance, "heartbeat_sensor")


def judged(engine: Engine) -> None:
    detect(engine, rules(), datetime.now(timezone.utc))


@pytest.fixture
def report(suites: Mapping[str, Suite], instance: dg.DagsterInstance) -> Report:
    job = build_definitions(suites=suites, since=START).resolve_job_def("eval_daily")

    def report(run_id: str, kind: dg.DagsterEventType) -> None:
        instance.report_dagster_event(DagsterEvent(event_type_value=kind.value, job_name=job.name), run_id)

    return report


def launched(suites: Mapping[str, Suite], instance: dg.DagsterInstance, report: Report, **tags: str) -> str:
    job = build_definitions(suites=suites, since=START).resolve_job_def("eval_daily")
    run = instance.create_run_for_job(job, tags={RUN_TYPE: "scheduled", **tags})
    report(run.run_id, START_EVENT)
    return run.run_id


def test_without_an_address_nothing_is_opened(heartbeat: Ticks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALOPS_DATABASE_URL", "postgresql://me@127.0.0.1:9/nobody")
    assert heartbeat.tick() == ("no EVALOPS_HEARTBEAT_URL", [])


def test_each_good_cycle_is_pinged_once_and_a_regression_is_a_good_cycle(
    engine: Engine, listener: Listener, heartbeat: Ticks, today: int
) -> None:
    scored = Scored(engine)
    scored.run(today - 1, "4.200")
    judged(engine)
    assert heartbeat.tick()[0] == "pinged: the cycle of explain is good"
    assert heartbeat.tick()[0] == "no ping: no new cycle"
    scored.run(today, "3.600")
    scored.run(today, "4.000", feature="extract")
    assert heartbeat.tick()[0] == "no ping: no new cycle"
    judged(engine)
    assert heartbeat.tick()[0] == "pinged: the cycle of explain, extract is good"
    assert heartbeat.tick()[0] == "no ping: no new cycle"
    assert listener.asked == [f"GET /{TOKEN}"] * 2


def test_a_ping_that_was_not_taken_is_made_again_and_its_address_is_never_said(
    engine: Engine, listener: Listener, heartbeat: Ticks, today: int, capfd: pytest.CaptureFixture[str]
) -> None:
    Scored(engine).run(today, "4.200")
    judged(engine)
    said: list[str] = []
    for status in (500, 429, 200, 200):
        listener.status = status
        said.append(heartbeat.tick()[0])
    failed = "the ping of EVALOPS_HEARTBEAT_URL failed: "
    assert said == [
        f"{failed}the answer was 500; the next tick tries again",
        f"{failed}the answer was 429; the next tick tries again",
        "pinged: the cycle of explain is good",
        "no ping: no new cycle",
    ]
    assert len(listener.asked) == 3
    printed = capfd.readouterr()
    assert "the answer was 500" in printed.err, "it is logged"
    assert TOKEN not in printed.out + printed.err


def test_a_feature_whose_run_is_invalid_keeps_the_ping_away_from_the_others(
    engine: Engine, listener: Listener, heartbeat: Ticks, today: int
) -> None:
    scored = Scored(engine)
    scored.run(today, "4.200")
    scored.run(today, None, feature="extract", status="invalid")
    judged(engine)
    assert heartbeat.tick()[0].endswith(" is invalid")
    assert (listener.asked, heartbeat.cursor) == ([], None)


def test_the_dagster_run_is_waited_for_and_must_not_have_failed(
    suites: Mapping[str, Suite],
    engine: Engine,
    instance: dg.DagsterInstance,
    report: Report,
    listener: Listener,
    heartbeat: Ticks,
    today: int,
) -> None:
    first = launched(suites, instance, report)
    Scored(engine).run(today, "4.200", dagster_run=first)
    judged(engine)
    assert heartbeat.tick()[0].endswith("belongs to a Dagster run that goes on")
    report(first, FAILURE)
    assert heartbeat.tick()[0].endswith("belongs to a Dagster run that failed")
    by_hand = launched(suites, instance, report, **{ROOT_RUN: first})
    report(by_hand, SUCCESS)
    assert heartbeat.tick()[0].endswith("belongs to a Dagster run that failed"), "a person's attempt is none of a cycle"
    retried = launched(suites, instance, report, **{ROOT_RUN: first, "dagster/retry_number": "1"})
    report(retried, SUCCESS)
    assert heartbeat.tick()[0] == "pinged: the cycle of explain is good"
    assert len(listener.asked) == 1


def test_a_run_of_another_deployment_goes_on_while_it_is_at_the_gate(
    engine: Engine, workshop: Workshop, listener: Listener, heartbeat: Ticks, today: int
) -> None:
    Scored(engine).run(today, "4.200", dagster_run="elsewhere")
    judged(engine)
    with workshop.gate().hold("elsewhere", wait_s=0):
        assert heartbeat.tick()[0].endswith("belongs to a Dagster run that goes on")
    assert heartbeat.tick()[0] == "pinged: the cycle of explain is good"
    assert len(listener.asked) == 1
