"""The week's plan: everything is struck, nothing is struck where it could not be told what the strike did."""

from collections import Counter

from benchmarks.soak.features import ORDERS, RETURNS
from benchmarks.soak.week_plan import AFTER, STRIKES, incidents, plan

HOURS = plan(168, seed=9)
CHANGES = [hour.number for hour, before in zip(HOURS[1:], HOURS, strict=False) if hour.fallen != before.fallen]


def test_a_week_has_each_strike_twice_and_at_every_other_change_of_a_score_one_on_the_sensors() -> None:
    struck = Counter(hour.strike for hour in HOURS if hour.strike is not None)
    assert struck == {**dict.fromkeys(STRIKES, 2), AFTER: 3}
    assert {hour.number for hour in HOURS if hour.strike == AFTER} == set(CHANGES[::2])


def test_where_a_run_is_struck_both_deployments_have_started_one() -> None:
    assert {hour.start for hour in HOURS if hour.strike not in (None, AFTER)} == {"together"}


def test_the_scores_fall_three_times_and_each_is_well_again_before_the_end() -> None:
    assert len(CHANGES) == 6
    assert incidents(HOURS) == 4  # the third time both features fall
    assert not HOURS[0].fallen
    assert not HOURS[-1].fallen
    assert {feature for hour in HOURS for feature in hour.fallen} == {ORDERS, RETURNS}


def test_the_same_seed_plans_the_same_week() -> None:
    assert plan(30, seed=3) == plan(30, seed=3)
    assert plan(30, seed=3) != plan(30, seed=4)
