"""States and streaks: a pure function of the days before."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalops_core.domain.drift.day import DriftDay
from evalops_core.domain.drift.decide import Measured, baseline_of, decide
from evalops_core.domain.suite import DriftSpec

FIRST = date(2026, 11, 1)
SPEC = DriftSpec()
LOW, HIGH = 0.05, 0.30


def history_of(*drifts: float | str | None, spec: DriftSpec = SPEC) -> list[DriftDay]:
    """The days that these drifts come to, one after another: a number for a day that was compared, `few` for one with
    too little, None for one that is missing."""
    days: list[DriftDay] = []
    for number, drift in enumerate(drifts):
        if drift is not None:
            days.append(next_day(days, FIRST + timedelta(days=number), drift, spec))
    return days


def next_day(history: Sequence[DriftDay], day: date, drift: float | str, spec: DriftSpec = SPEC) -> DriftDay:
    few = drift == "few"
    today = DriftDay(
        id=len(history) + 1, feature="f", day=day, embedding_model="e", n=3 if few else 50, has_centroid=not few
    )
    measured = None
    if not isinstance(drift, str) and baseline_of(history, spec):
        measured = Measured(drift, spec.threshold or 0.15, "fixed")
    found = decide(today, history, spec, measured)
    return replace(
        today,
        state=found.state,
        streak=found.streak,
        drift=found.drift,
        threshold=found.threshold,
        baseline_days=found.baseline_days,
        why=found.why,
    )


def states(days: Sequence[DriftDay]) -> str:
    return " ".join((day.state or "?")[0] if day.state != "alerting" else "A" for day in days)


QUIET = (LOW,) * 4


def test_a_cold_start_has_three_days_that_nothing_is_compared_with() -> None:
    days = history_of(HIGH, HIGH, HIGH, LOW, HIGH)
    assert states(days) == "b b b o w"
    assert [day.drift for day in days] == [None, None, None, LOW, HIGH]
    assert days[1].why == "day 2 of the first 3: there is too little to compare it with yet"


def test_a_window_of_one_day_is_compared_from_the_second_day_on() -> None:
    assert states(history_of(LOW, LOW, HIGH, spec=DriftSpec(baseline_window=1))) == "b o w"


def test_an_alert_needs_two_days_in_a_row() -> None:
    assert states(history_of(*QUIET, HIGH, LOW, HIGH, HIGH, HIGH, LOW)) == "b b b o w o w A A o"


def test_one_day_is_enough_where_the_suite_says_so() -> None:
    assert states(history_of(*QUIET, HIGH, spec=DriftSpec(consecutive_days=1))) == "b b b o A"


def test_a_drift_at_the_threshold_is_within_it() -> None:
    assert states(history_of(*QUIET, 0.15)) == "b b b o o"


@pytest.mark.parametrize("between", ["few", None])
def test_days_with_too_little_and_missing_days_neither_grow_nor_reset_a_streak(between: str | None) -> None:
    days = history_of(*QUIET, HIGH, between, between, HIGH)
    assert (days[-1].state, days[-1].streak) == ("alerting", 2)
    if between is not None:
        assert [(day.state, day.streak) for day in days[5:7]] == [("insufficient", 1)] * 2
        assert "1 day above the threshold before it stay counted" in days[5].why


def test_a_day_with_too_little_says_how_much_there_was() -> None:
    (day,) = history_of("few")
    assert day.why == "3 of at least 10 traces with a user's message"


def test_a_long_drift_neither_poisons_its_baseline_nor_becomes_it() -> None:
    days = history_of(*QUIET, *[HIGH] * 40)
    assert {day.state for day in days[5:]} == {"alerting"}
    assert days[-1].baseline_days == tuple(FIRST + timedelta(days=number) for number in range(4))
    assert days[-1].streak == 40


def test_the_baseline_is_the_last_good_days_counted_after_the_others_are_left_out() -> None:
    days = history_of(*[LOW] * 10, HIGH, HIGH, "few", None, LOW, LOW)
    found = [day.day.day for day in baseline_of(days, SPEC)]
    assert found == [6, 7, 8, 9, 10, 15, 16]


def test_accepting_a_drift_makes_its_days_the_baseline_and_forgets_what_was_before() -> None:
    days = history_of(*[LOW] * 8, HIGH, HIGH, HIGH, HIGH)
    accepted = [
        replace(day, incident_id=5, incident_resolution="accepted") if day.state == "alerting" else day for day in days
    ]
    assert [day.day.day for day in baseline_of(accepted, SPEC)] == [10, 11, 12]
    after = next_day(accepted, FIRST + timedelta(days=12), HIGH)
    assert (after.state, after.streak) == ("warning", 1)


def test_after_a_drift_of_one_day_was_accepted_comparing_starts_anew() -> None:
    days = history_of(*[LOW] * 8, HIGH, HIGH)
    accepted = [*days[:-1], replace(days[-1], incident_id=5, incident_resolution="accepted")]
    assert baseline_of(accepted, SPEC) == ()
    after = next_day(accepted, FIRST + timedelta(days=10), HIGH)
    assert (after.state, after.why) == ("baseline", "day 2 of the first 3: there is too little to compare it with yet")


def test_a_drift_that_ended_by_itself_is_no_part_of_the_baseline() -> None:
    days = history_of(*[LOW] * 4, HIGH, HIGH, LOW)
    recovered = [
        replace(day, incident_id=5, incident_resolution="recovered") if day.state == "alerting" else day for day in days
    ]
    assert [day.day.day for day in baseline_of(recovered, SPEC)] == [1, 2, 3, 4, 7]


@given(st.lists(st.sampled_from([LOW, HIGH, "few", None]), max_size=40))
def test_whatever_happens_a_streak_is_the_number_of_breaches_since_the_last_quiet_day(
    drifts: list[float | str | None],
) -> None:
    days = history_of(*drifts)
    streak = 0
    for day in days:
        if day.state in ("ok", "baseline"):
            streak = 0
        elif day.state in ("warning", "alerting"):
            streak += 1
        assert day.streak == streak
        assert (day.state == "alerting") == (streak >= 2 and day.state != "insufficient")
        assert (day.drift is None) == (day.state in ("baseline", "insufficient"))
        assert len(day.baseline_days) <= SPEC.baseline_window
        assert day.day not in day.baseline_days
