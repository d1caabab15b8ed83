"""Windows: a fixed grid in UTC, whatever the zone of the clock."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalops_core.domain.window import INTERVALS_HOURS, key_format, window_of, window_of_key

instants = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(timezone.utc))  # noqa: DTZ001 - the zone is given beside
intervals = st.sampled_from(INTERVALS_HOURS)


@given(instants, intervals)
def test_a_window_holds_its_instant_and_is_as_long_as_its_interval(instant: datetime, hours: int) -> None:
    window = window_of(instant, hours)
    assert window.start <= instant < window.end
    assert window.end - window.start == timedelta(hours=hours)


@given(instants, intervals)
def test_windows_meet_without_gap_or_overlap(instant: datetime, hours: int) -> None:
    window = window_of(instant, hours)
    assert window_of(window.end, hours).start == window.end


@given(instants, intervals)
def test_a_key_names_one_window(instant: datetime, hours: int) -> None:
    window = window_of(instant, hours)
    assert window_of_key(window.key, hours) == window


@given(instants, intervals, st.integers(-12, 14))
def test_the_zone_of_the_clock_does_not_matter(instant: datetime, hours: int, offset: int) -> None:
    elsewhere = instant.astimezone(timezone(timedelta(hours=offset)))
    assert window_of(elsewhere, hours) == window_of(instant, hours)


def test_days_start_at_midnight_and_weeks_on_monday() -> None:
    instant = datetime(2026, 11, 25, 13, 30, tzinfo=timezone.utc)
    assert window_of(instant, 24).key == "2026-11-25"
    assert window_of(instant, 168).key == "2026-11-23"
    assert window_of(instant, 6).key == "2026-11-25-12:00"


@pytest.mark.parametrize("hours", [0, 5, -1, 48, 7])
def test_an_interval_that_does_not_divide_the_day_is_refused_with_those_that_do(hours: int) -> None:
    with pytest.raises(ValueError, match="one of 1, 2, 3, 4, 6, 8, 12, 24, 168 hours"):
        window_of(datetime(2026, 1, 1, tzinfo=timezone.utc), hours)
    with pytest.raises(ValueError, match="hours"):
        key_format(hours)


def test_a_key_off_the_grid_is_refused_with_the_window_around_it() -> None:
    with pytest.raises(ValueError, match="2026-11-23"):
        window_of_key("2026-11-25", 168)


def test_a_clock_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        window_of(datetime(2026, 1, 1), 24)  # noqa: DTZ001 - that is the point
