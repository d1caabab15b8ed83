from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from evalops_core.mail.wording import counted, fall, instant, score, some_day, span


@pytest.mark.parametrize(
    ("value", "spelt"),
    [(Decimal("4.2"), "4.20"), (Decimal("3.605"), "3.61"), (2.675, "2.68"), (5.0, "5.00"), (Decimal("-0.5"), "−0.50")],
)
def test_a_score_has_two_decimals(value: Decimal | float, spelt: str) -> None:
    assert score(value) == spelt


def test_a_drop_is_a_minus_and_a_rise_a_plus() -> None:
    assert (fall(Decimal("0.6")), fall(-0.25), fall(0.0)) == ("−0.60", "+0.25", "−0.00")


@pytest.mark.parametrize(
    ("length", "spelt"),
    [
        (timedelta(seconds=-3), "0 min"),
        (timedelta(minutes=40), "40 min"),
        (timedelta(hours=35, minutes=59, seconds=58), "36 h"),
        (timedelta(hours=48), "48 h"),
        (timedelta(hours=76), "3 days 4 h"),
        (timedelta(days=7), "7 days"),
    ],
)
def test_a_span_is_in_the_unit_that_people_think_in(length: timedelta, spelt: str) -> None:
    assert span(length) == spelt


def test_an_instant_is_in_utc() -> None:
    there = timezone(timedelta(hours=2))
    assert instant(datetime(2026, 11, 24, 1, 30, tzinfo=there)) == "2026-11-23 23:30 UTC"


def test_a_day_to_silence_until_is_a_week_ahead_or_left_to_the_reader() -> None:
    assert (some_day(date(2026, 11, 24)), some_day(None)) == ("2026-12-01", "YYYY-MM-DD")


def test_one_is_singular() -> None:
    assert (counted(1, "case"), counted(0, "case"), counted(2, "entry", "entries")) == (
        "1 case",
        "0 cases",
        "2 entries",
    )
