"""When a scheduled run is due: the decision table."""

from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalops_core.domain.window import INTERVALS_HOURS, Due, LastRun, NotDue, due, window_of

NOON = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)


def last(
    started_at: datetime, state: Literal["completed", "unusable", "unfinished"] = "completed", hours: int = 24
) -> LastRun:
    return LastRun(window_of(started_at, hours).key, started_at, state)


def hours_ago(hours: float) -> datetime:
    return NOON - timedelta(hours=hours)


def test_the_first_run_ever_is_due_at_once() -> None:
    assert due(NOON, 24, None) == Due(window_of(NOON, 24))


def test_a_window_that_is_evaluated_is_not_due_until_the_next_begins() -> None:
    decided = due(NOON, 24, last(hours_ago(11)))
    assert decided == NotDue("window 2026-11-24 is evaluated", datetime(2026, 11, 25, tzinfo=timezone.utc))


def test_the_next_window_is_due_from_its_first_instant() -> None:
    midnight = datetime(2026, 11, 24, tzinfo=timezone.utc)
    yesterday = last(midnight - timedelta(hours=23))
    assert isinstance(due(midnight - timedelta(seconds=1), 24, yesterday), NotDue)
    assert due(midnight, 24, yesterday) == Due(window_of(midnight, 24))


def test_switched_on_late_in_a_window_it_does_not_pay_again_half_an_hour_later() -> None:
    late = datetime(2026, 11, 23, 23, 30, tzinfo=timezone.utc)
    assert due(late + timedelta(minutes=30), 24, last(late)) == NotDue(
        "the last scheduled run started at 2026-11-23 23:30 UTC", late + timedelta(hours=12)
    )
    assert isinstance(due(late + timedelta(hours=12) - timedelta(seconds=1), 24, last(late)), NotDue)
    assert isinstance(due(late + timedelta(hours=12), 24, last(late)), Due)


def test_a_run_that_was_cut_short_is_due_again_at_once() -> None:
    assert isinstance(due(NOON, 24, last(hours_ago(0.1), "unfinished")), Due)


def test_a_run_without_a_usable_result_is_tried_again_after_half_an_interval_in_the_same_window() -> None:
    assert isinstance(due(NOON, 24, last(hours_ago(11.9), "unusable")), NotDue)
    assert isinstance(due(NOON, 24, last(hours_ago(12), "unusable")), Due)


def test_an_interval_made_shorter_waits_for_half_of_the_new_one() -> None:
    assert isinstance(due(NOON, 6, last(hours_ago(2.9), hours=24)), NotDue)
    assert due(NOON, 6, last(hours_ago(3), hours=24)) == Due(window_of(NOON, 6))


def test_an_interval_made_longer_does_not_pay_for_the_same_day_again() -> None:
    assert isinstance(due(NOON, 168, last(hours_ago(20), hours=24)), NotDue)


@pytest.mark.parametrize("back", [1, 13])
def test_a_clock_set_back_does_not_pay_twice(back: int) -> None:
    assert isinstance(due(NOON - timedelta(hours=back), 24, last(hours_ago(0.5))), NotDue)


def test_an_interval_that_is_not_allowed_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="one of 1, 2, 3, 4, 6, 8, 12, 24, 168 hours, not 5"):
        due(NOON, 5, None)


@given(
    st.sampled_from(INTERVALS_HOURS),
    st.lists(st.integers(1, 180), min_size=1, max_size=60),
)
def test_however_it_is_ticked_a_window_is_evaluated_once_and_runs_keep_half_an_interval_apart(
    hours: int, minutes: list[int]
) -> None:
    now, history = NOON, list[LastRun]()
    for step in minutes:
        now += timedelta(minutes=step)
        decided = due(now, hours, history[-1] if history else None)
        if isinstance(decided, Due):
            history.append(last(now, hours=hours))
        else:
            assert decided.until > now
    assert len({run.partition_key for run in history}) == len(history)
    starts = [run.started_at for run in history]
    assert all(b - a >= timedelta(hours=hours) / 2 for a, b in pairwise(starts))


@given(st.sampled_from(INTERVALS_HOURS))
def test_with_a_tick_an_hour_no_window_is_left_out_and_due_times_do_not_creep(hours: int) -> None:
    began = datetime(2026, 11, 2, tzinfo=timezone.utc)
    history = list[LastRun]()
    for tick in range(hours * 10):
        now = began + timedelta(hours=tick, seconds=7)
        if isinstance(due(now, hours, history[-1] if history else None), Due):
            history.append(last(now, hours=hours))
    assert len(history) == 10
    assert all((run.started_at - began).seconds % 3600 == 7 for run in history)
