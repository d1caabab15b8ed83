"""Growth is told from noise, from a warm-up and from a figure that is far off once."""

import random

import pytest

from benchmarks.soak.growth import Point, parts, trend

RUNS = 500


def figures(*, slope: float = 0.0, noise: float = 1.0, level: float = 100.0) -> list[Point]:
    """One for each run; `slope` is what is added over all runs."""
    drawn = random.Random(1)
    return [(at, level + slope * at / RUNS + drawn.gauss(0, noise)) for at in range(RUNS)]


def test_a_level_with_noise_does_not_grow() -> None:
    found = trend(figures(), RUNS, tolerated=5.0)
    assert found is not None
    assert found.verdict == "no growth"
    assert found.low < 0 < found.high < 5.0


def test_a_steady_rise_beyond_what_is_tolerated_grows_and_is_measured() -> None:
    found = trend(figures(slope=20.0), RUNS, tolerated=5.0)
    assert found is not None
    assert found.verdict == "grows"
    assert found.change == pytest.approx(0.8 * 20.0, rel=0.15)  # after the first fifth
    assert found.low < found.change < found.high


def test_a_steady_rise_within_what_is_tolerated_is_none() -> None:
    found = trend(figures(slope=2.0), RUNS, tolerated=5.0)
    assert found is not None
    assert found.verdict == "no growth"


def test_one_connection_more_for_good_grows() -> None:
    leak = [(at, 8.0 + (at >= 300)) for at in range(RUNS)]
    found = trend(leak, RUNS, tolerated=0.5)
    assert found is not None
    assert (found.first, found.last) == (8.0, 9.0)
    assert found.verdict == "grows"


def test_what_fills_up_in_the_first_fifth_is_no_growth() -> None:
    filling = [(at, figure + min(at, 90)) for at, figure in figures()]
    found = trend(filling, RUNS, tolerated=5.0)
    assert found is not None
    assert found.verdict == "no growth"


def test_single_figures_far_off_change_nothing() -> None:
    spiked = [(at, 10_000.0 if at % 50 == 49 else figure) for at, figure in figures()]
    found = trend(spiked, RUNS, tolerated=5.0)
    assert found is not None
    assert found.verdict == "no growth"


def test_noise_wider_than_what_is_tolerated_is_unclear_and_so_are_a_few_figures() -> None:
    wide = trend(figures(noise=200.0), RUNS, tolerated=5.0)
    few = trend([(at, 100.0) for at in (0, 110, 220, 330, 440)], RUNS, tolerated=5.0)
    assert wide is not None
    assert few is not None
    assert (wide.verdict, few.verdict) == ("unclear", "unclear")


def test_of_what_comes_and_goes_only_what_does_not_go_grows() -> None:
    busier = [(at, 1.0 + 3.0 * (at % 4 < 1 + 2 * at / RUNS)) for at in range(RUNS)]
    leaking = [(at, figure + at // 100) for at, figure in busier]
    found = trend(busier, RUNS, tolerated=0.5, of=min)
    leak = trend(leaking, RUNS, tolerated=0.5, of=min)
    assert found is not None
    assert leak is not None
    assert (found.verdict, leak.verdict) == ("no growth", "grows")


def test_a_short_course_says_nothing_whatever_its_figures_do() -> None:
    rising = [(at, 10.0 * at) for at in range(50)]
    found = trend(rising, 50, tolerated=5.0)
    assert found is not None
    assert found.verdict == "unclear"


def test_a_part_without_figures_is_missing_and_not_zero() -> None:
    assert parts([(0, 1.0), (1, 3.0), (9, 7.0)], 10, 5) == [2.0, None, None, None, 7.0]
    assert trend([(0, 1.0), (1, 3.0)], 10, tolerated=1.0) is None
