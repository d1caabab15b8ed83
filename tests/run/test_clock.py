"""The clock of the machine goes back an hour, and zones of the operator change theirs: nothing is evaluated, paid or
told twice, and no window moves."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from evalops_core.domain.suite import Suite
from evalops_core.domain.window import Due, LastRun, NotDue, due, window_of
from evalops_core.run.begin import begin
from evalops_core.run.deliver import deliver
from evalops_core.run.detect import detect
from evalops_core.run.drift.sample import span
from evalops_core.run.evaluate import evaluate
from evalops_core.run.progress import silent
from evalops_core.run.tick import Tick, decide_tick
from evalops_core.store.engine import make_engine
from evalops_core.store.outbox import Outbox
from evalops_core.store.runs import EvalRuns
from evalops_core.wiring import Workshop
from tests.builders import JUDGED, make_suite
from tests.mock_fixture import MockOpenAI
from tests.run.scored import NOW, Scored, rules
from tests.run.test_deliver import Provider

CASES = 3
HOUR = timedelta(hours=1)
TEN = datetime(2026, 11, 24, 10, 5, tzinfo=timezone.utc)
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
# In each of these nights a zone of the above gains or loses its hour, or half of one.
NIGHTS = [
    date(2026, 3, 8),
    date(2026, 3, 29),
    date(2026, 4, 5),
    date(2026, 10, 4),
    date(2026, 10, 25),
    date(2026, 11, 1),
]


@pytest.fixture
def hourly(mock_openai: MockOpenAI, tmp_path: Path) -> Suite:
    yaml = JUDGED.replace("interval: 24", "interval: 1")
    return make_suite(tmp_path / "suites", mock_openai.base_url, cases=CASES, yaml=yaml)


class At:
    """The workshop, at the hour that the clock shows, and a schedule's tick in it."""

    def __init__(self, workshop: Workshop, suite: Suite) -> None:
        self._workshop, self._suite = workshop, suite

    def tick(self, now: datetime) -> Tick:
        return decide_tick([self._suite], self._workshop.tools.runs, now, over_budget=lambda _: None)

    def workshop(self, now: datetime) -> Workshop:
        return replace(self._workshop, tools=replace(self._workshop.tools, now=lambda: now))

    def evaluate(self, now: datetime) -> str:
        """The window that is evaluated."""
        there = self.workshop(now)
        run = asyncio.run(evaluate(there.plan(self._suite, run_type="scheduled"), there.tools, silent))
        self._created(run.id, now)
        return run.partition_key

    def cut_short(self, now: datetime) -> int:
        there = self.workshop(now)
        run = begin(there.plan(self._suite, run_type="scheduled"), there.tools.runs, now).run
        self._created(run.id, now)
        return run.id

    def _created(self, run_id: int, now: datetime) -> None:
        """By the database's clock, which is the same machine's."""
        with self._workshop.engine.begin() as connection:
            sets = text("UPDATE evalops.eval_runs SET created_at = :now WHERE id = :id AND created_at > :now")
            connection.execute(sets, {"now": now, "id": run_id})


@pytest.fixture
def at(workshop: Workshop, hourly: Suite) -> At:
    return At(workshop, hourly)


# The clock goes back


def test_after_the_clock_went_back_an_hour_nothing_is_due_until_it_shows_what_it_showed_before(
    at: At, mock_openai: MockOpenAI, engine: Engine
) -> None:
    assert [at.evaluate(TEN), at.evaluate(TEN + HOUR)] == ["2026-11-24-10:00", "2026-11-24-11:00"]
    detect(engine, rules(), TEN + HOUR)
    called = len(mock_openai.requests())

    back = at.tick(TEN + timedelta(minutes=10))
    assert (back.start, back.window) == ((), None)
    assert back.reasons == (
        "orders is not due before 2026-11-24 11:35 UTC: the last scheduled run started at 2026-11-24 11:05 UTC",
    )
    again = at.tick(TEN + HOUR)
    assert again.reasons == ("orders is not due before 2026-11-24 12:00 UTC: window 2026-11-24-11:00 is evaluated",)
    assert detect(engine, rules(), TEN + timedelta(minutes=10)).judged == 0
    assert at.evaluate(TEN + timedelta(minutes=20)) == "2026-11-24-10:00", "as a run that waited in the queue"
    assert len(mock_openai.requests()) == called, "a window was paid twice"
    assert at.tick(TEN + 2 * HOUR).start == ("orders",)


def test_a_run_that_was_cut_short_before_the_clock_went_back_is_finished_once_and_nothing_paid_for_the_hour_before(
    at: At, mock_openai: MockOpenAI, workshop: Workshop
) -> None:
    at.evaluate(TEN)
    cut_short = at.cut_short(TEN + HOUR)
    called = len(mock_openai.requests())
    assert at.tick(TEN + timedelta(minutes=55)).start == ("orders",)
    assert at.evaluate(TEN + timedelta(minutes=54)) == "2026-11-24-10:00"
    assert len(mock_openai.requests()) == called, "the hour before was paid twice"
    assert at.evaluate(TEN + HOUR) == "2026-11-24-11:00"
    assert Counter(request["kind"] for request in mock_openai.requests()) == {"generate": 2 * CASES, "judge": 2 * CASES}
    assert [(run.id == cut_short, run.status) for run in workshop.tools.runs.recent("orders", 9)] == [
        (True, "completed"),
        (False, "completed"),
    ]


@pytest.mark.parametrize("hours", [1, 3, 24])
@pytest.mark.parametrize("back", [HOUR, 25 * HOUR])
def test_whenever_the_clock_goes_back_no_window_is_due_twice(hours: int, back: timedelta) -> None:
    for when in range(hours + 2):
        now, history = TEN, list[LastRun]()
        for tick in range(2 * hours + 30):
            now += HOUR - (back if tick == when else timedelta())
            found = due(now, hours, history[-1] if history else None)
            if isinstance(found, Due):
                history.append(LastRun(found.window.key, now, "completed"))
        assert len({run.partition_key for run in history}) == len(history)
        assert len(history) > 1


def test_a_mail_that_was_sent_before_the_clock_went_back_is_not_sent_again_and_one_that_was_due_comes_later_once(
    engine: Engine,
) -> None:
    scored, provider = Scored(engine), Provider()
    scored.runs(["4.200", "3.600"])
    detect(engine, rules(), NOW)
    assert deliver(engine, rules(), provider, lambda: NOW).sent == 1
    scored.runs(["4.200", "3.600"], feature="other")
    detect(engine, rules(), NOW)

    back = NOW - HOUR
    detect(engine, rules(), back)
    assert str(deliver(engine, rules(), provider, lambda: back)) == "nothing is due"
    assert [message.state for message in Outbox(engine).listed()] == ["due", "sent"]
    assert deliver(engine, rules(), provider, lambda: NOW + timedelta(seconds=1)).sent == 1
    assert deliver(engine, rules(), provider, lambda: NOW + 25 * HOUR).sent == 0
    assert len(provider.asked) == 2


def test_a_mail_in_the_hand_of_one_that_died_before_the_clock_went_back_waits_for_its_lease_and_comes_once(
    engine: Engine,
) -> None:
    Scored(engine).runs(["4.200", "3.600"])
    detect(engine, rules(), NOW)
    lease = timedelta(minutes=5)
    held = Outbox(engine).claim(NOW, lease)
    assert held is not None
    assert Outbox(engine).claim(NOW - HOUR, lease) is None
    provider = Provider()
    assert deliver(engine, rules(), provider, lambda: NOW + 2 * lease).sent == 1
    assert [key for _, _, key in provider.asked] == [str(held.key)]


# Zones that change their clocks


@pytest.fixture(params=ZONES)
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ZoneInfo]:
    """That of this process, too."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield ZoneInfo(request.param)
    monkeypatch.undo()
    time.tzset()


def test_windows_and_due_times_are_the_same_in_every_zone_when_it_changes_its_clocks(zone: ZoneInfo) -> None:
    for night in NIGHTS:
        for hours in (1, 6, 24, 168):
            utc = around(night)
            there = [instant.astimezone(zone) for instant in utc]
            windows = [window_of(instant, hours) for instant in there]
            assert windows == [window_of(instant, hours) for instant in utc]
            assert {window.end - window.start for window in windows} == {hours * HOUR}
            assert started(there, hours) == started(utc, hours)


@pytest.mark.usefixtures("zone")
def test_a_day_of_drift_has_24_hours_in_every_zone() -> None:
    for night in NIGHTS:
        begin, end = span(night)
        assert (begin.isoformat(), end - begin) == (f"{night}T00:00:00+00:00", 24 * HOUR)


def test_a_database_whose_role_lives_in_such_a_zone_keeps_windows_and_times_as_they_are(
    database_url: SecretStr, engine: Engine, zone: ZoneInfo
) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"ALTER DATABASE \"{engine.url.database}\" SET timezone = '{zone.key}'"))
    there = make_engine(database_url)
    try:
        run = Scored(there).run(-7, "4.000")  # 25 October, when Berlin's clock goes back
        found = EvalRuns(there).get(run.id)
        assert (found.partition_key, found.window_end - found.window_start) == ("2026-10-25", 24 * HOUR)
        assert [at.utcoffset() for at in (found.window_start, found.created_at)] == [timedelta(0)] * 2
        found = decide(EvalRuns(there), found.window_end)
        assert isinstance(found, Due)
        with there.connect() as connection:
            day = connection.execute(text("SELECT CAST(window_start AS date) FROM evalops.eval_trend")).scalar_one()
        assert day == date(2026, 10, 25)
    finally:
        there.dispose()


def decide(runs: EvalRuns, now: datetime) -> Due | NotDue:
    run = runs.last_scheduled("explain")
    assert run is not None
    return due(now, 24, LastRun(run.partition_key, run.window_start, "completed"))


def around(night: date) -> Sequence[datetime]:
    """Every half an hour, from the evening before to the evening after."""
    begin = span(night)[0] - 4 * HOUR
    return [begin + number * HOUR / 2 for number in range(2 * 26)]


def started(instants: Sequence[datetime], hours: int) -> list[str]:
    """The windows that a schedule which ticks at each of the instants starts a run for."""
    history: list[LastRun] = []
    for now in instants:
        found = due(now, hours, history[-1] if history else None)
        if isinstance(found, Due):
            # as the database gives it: with an offset, which does not change with the seasons
            history.append(LastRun(found.window.key, now.astimezone(timezone(now.utcoffset() or HOUR)), "completed"))
    return [run.partition_key for run in history]
