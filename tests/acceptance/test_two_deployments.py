"""Two deployments beside each other: Dagster databases of their own, one eval database, the schedule on in both.

What belongs here: that together they do what one would do. What does not: one deployment's queue (test_queue), gate and
reaper (test_gate_processes), a tick's decision (tests/location).

Daemons, code servers and run workers are processes of their own; the time of day is the test's (`clocked`).
"""

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_representation.external import RemoteSchedule
from dagster._core.scheduler.instigation import InstigatorTick, TickStatus
from dagster._core.test_utils import freeze_time
from pydantic import SecretStr
from sqlalchemy import Engine

from evalops_core.domain.window import Window, window_of
from evalops_core.postgres.server import Started
from evalops_core.store.gate import Gate
from evalops_core.store.runs import EvalRuns
from evalops_dagster.schedules import DAILY
from tests.acceptance.clocked import MODULE, SharedClock
from tests.acceptance.deployments import FINISHED, Deployment, awaited, deployed, held_commits
from tests.builders import JUDGED, environment, write_suite
from tests.conftest import new_database
from tests.mock_fixture import MockOpenAI

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]

FEATURES = ("orders", "returns")
CASES = 4
WINDOWS = 20
HOURS = 3  # of a window, and the schedule ticks at each: when it begins, beside the runs, after them
HOUR = timedelta(hours=1)
SUCCESS = dg.DagsterRunStatus.SUCCESS
UNFINISHED = [status for status in dg.DagsterRunStatus if status not in FINISHED]
UNSUCCESSFUL = [status for status in FINISHED if status is not SUCCESS]


@dataclass(frozen=True)
class Scheduled:
    """A deployment whose schedule is on."""

    deployment: Deployment
    schedule: RemoteSchedule

    def runs(self) -> Sequence[dg.DagsterRun]:
        return self.deployment.instance.get_runs()

    def ticks(self, limit: int | None = None) -> Sequence[InstigatorTick]:
        """The latest first."""
        origin, selector = self.schedule.get_remote_origin_id(), self.schedule.selector_id
        return self.deployment.instance.get_ticks(origin, selector, limit=limit)

    def has_ticked(self, at: datetime) -> bool:
        latest = next(iter(self.ticks(limit=1)), None)
        if latest is None or latest.timestamp < at.timestamp():
            return False
        assert latest.status is not TickStatus.FAILURE, latest.error
        return latest.status is not TickStatus.STARTED

    def is_idle(self) -> bool:
        """AssertionError as soon as a run has ended in any way but well."""
        instance = self.deployment.instance
        said = [self.deployment.said(run.run_id) for run in instance.get_runs(dg.RunsFilter(statuses=UNSUCCESSFUL))]
        assert not said, "\n".join([*said, self.deployment.log("daemon")])
        return instance.get_runs_count(dg.RunsFilter(statuses=UNFINISHED)) == 0


@pytest.fixture
def clock(engine: Engine) -> SharedClock:
    """Set to before the first window, such that all of them are past: Dagster has no partition for later than now."""
    clock = SharedClock(engine)
    before = datetime.now(timezone.utc) - (WINDOWS + 1) * HOURS * HOUR
    clock.make(window_of(before, HOURS).start - HOUR / 2)
    return clock


@pytest.fixture
def deployments(
    clock: SharedClock, postgres: Started, database_url: SecretStr, mock_openai: MockOpenAI, tmp_path: Path
) -> Iterator[Sequence[Scheduled]]:
    yaml = JUDGED.replace("interval: 24", f"interval: {HOURS}")
    for feature in FEATURES:
        suite = write_suite(tmp_path / "suites", mock_openai.base_url, feature=feature, cases=CASES, yaml=yaml)
        cases = suite / "cases.jsonl"  # ids of the feature's own, by which the endpoint tells whom it was asked for
        cases.write_text(cases.read_text().replace(case_id("orders", 0)[:-1], case_id(feature, 0)[:-1]))
    variables = {
        **environment(database_url, tmp_path / "home", tmp_path / "suites", mock_openai.base_url),
        "EVALOPS_SCHEDULED_ENABLED": "true",
        "EVALOPS_CALL_TIMEOUT_S": "60",  # on a busy machine a second attempt would look like a case paid twice
        "EVALOPS_GIT_SHA": "none",  # asking git takes each run several processes
    }
    with ExitStack() as stack:
        both: list[Scheduled] = []
        for name in ("one", "other"):
            own = stack.enter_context(bare_database(postgres))
            deployment = stack.enter_context(deployed(tmp_path / name, own, variables, module=MODULE, daemon=[MODULE]))
            both.append(switched_on(deployment, clock.now()))
        yield both


def test_two_deployments_on_schedule_evaluate_each_feature_and_window_exactly_once(
    deployments: Sequence[Scheduled],
    clock: SharedClock,
    engine: Engine,
    database_url: SecretStr,
    mock_openai: MockOpenAI,
) -> None:
    """In some windows both tick at the same moment and both start a run; in the others one is late, turn by turn."""
    begin = window_of(clock.now(), HOURS).end
    windows = [window_of(begin + number * HOURS * HOUR, HOURS) for number in range(WINDOWS)]
    with held_commits(engine) as commits:
        commits.release()
        for number, window in enumerate(windows):
            if number % 4 == 0:
                tick(clock, window.start, *deployments)
                tick(clock, window.start + HOUR, *deployments)
            else:
                commits.hold()
                one_is_late(clock, window, Gate(database_url), *(deployments if number % 2 else reversed(deployments)))
                commits.release()
            for each in deployments:
                awaited(each.is_idle, f"the runs of window {window.key} to end")
            tick(clock, window.end - HOUR, *deployments)

    stored = [
        (run.feature, run.partition_key, run.run_type, run.status, run.n, run.n_unscored)
        for run in EvalRuns(engine).recent(None, 1000)
    ]
    wanted = [(feature, window.key, "scheduled", "completed", CASES, 0) for feature in FEATURES for window in windows]
    assert sorted(stored) == sorted(wanted)
    cases = [case_id(feature, number) for feature in FEATURES for number in range(CASES)]
    assert Counter((request["kind"], request["key"]) for request in mock_openai.requests()) == {
        (kind, case): WINDOWS for kind in ("generate", "judge") for case in cases
    }, "something was paid twice, or not at all"

    launched = [[run.tags["dagster/partition"] for run in each.runs()] for each in deployments]
    for each, keys in zip(deployments, launched, strict=True):
        assert {run.status for run in each.runs()} == {SUCCESS}
        assert len(keys) == len(set(keys)), "a deployment started two runs for a window"
        assert_ticks_explain_themselves(each.ticks(), windows)
    both_at_once = set(launched[0]) & set(launched[1])
    assert both_at_once, "never did both start a run for the same window, so nothing had to keep them apart"
    print(f"runs started: {[len(keys) for keys in launched]}, by both for the same window: {len(both_at_once)}")


def one_is_late(clock: SharedClock, window: Window, gate: Gate, punctual: Scheduled, late: Scheduled) -> None:
    """The late one's daemon stands still until the punctual one's run holds the gate, which it does not let go of."""
    with late.deployment.delayed():
        tick(clock, window.start, punctual)
        awaited(gate.holder, f"a run of window {window.key} to take the gate")
        clock.set(window.start + HOUR)
    tick(clock, window.start + HOUR, punctual, late)
    (run,) = punctual.deployment.instance.get_runs(limit=1)
    assert f"the run before is not finished: run {run.run_id} " in (punctual.ticks(limit=1)[0].skip_reason or "")
    assert f"the gate is held by run {run.run_id} on " in (late.ticks(limit=1)[0].skip_reason or "")


def tick(clock: SharedClock, at: datetime, *deployments: Scheduled) -> None:
    """It is now `at`, everywhere at the same moment; until all of these have ticked."""
    clock.set(at)
    for each in deployments:
        awaited(lambda each=each: each.has_ticked(at), f"the tick of {at:%d %H:%M}")


@contextmanager
def bare_database(postgres: Started) -> Generator[SecretStr]:
    yield from new_database(postgres, "template0")


def switched_on(deployment: Deployment, now: datetime) -> Scheduled:
    """As the UI's switch does it. Dagster notes when that was, and would ignore every tick before."""
    assert deployment.context is not None
    location = deployment.context.create_request_context().get_code_location("evalops")
    schedules = [each for part in location.get_repositories().values() for each in part.get_schedules()]
    (schedule,) = [each for each in schedules if each.name.startswith(DAILY)]
    with freeze_time(now):
        deployment.instance.start_schedule(schedule)
    return Scheduled(deployment, schedule)


def assert_ticks_explain_themselves(ticks: Sequence[InstigatorTick], windows: Sequence[Window]) -> None:
    """Each has started one run or says why none, which for the last tick of a window is that it is evaluated."""
    by_time = {datetime.fromtimestamp(tick.timestamp, timezone.utc): tick for tick in ticks}
    assert len(by_time) == len(ticks)
    for window in windows:
        assert by_time[window.end - HOUR].skip_reason == "; ".join(
            f"{feature} is not due before {window.end:%Y-%m-%d %H:%M} UTC: window {window.key} is evaluated"
            for feature in FEATURES
        )
    for at, tick in by_time.items():
        if tick.status is TickStatus.SUCCESS:
            assert len(tick.run_ids) == 1, at
        else:
            assert tick.status is TickStatus.SKIPPED, at
            reasons = ("the run before is not finished: run ", "the gate is held by run ", " is evaluated")
            assert any(reason in (tick.skip_reason or "") for reason in reasons), (at, tick.skip_reason)


def case_id(feature: str, number: int) -> str:
    return f"case-{FEATURES.index(feature)}{number:05}"
