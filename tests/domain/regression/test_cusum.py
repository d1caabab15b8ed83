"""Rule D: what adds up, what does not, and that its state is all it needs."""

from collections.abc import Iterable, Sequence

import pytest

from evalops_core.domain.regression.cusum import Slide, learn, watch
from evalops_core.domain.regression.sample import Sample
from tests.domain.regression.samples import noisy, sample, steady


def over(runs: Iterable[Sample], slide: Slide | None = None) -> Slide:
    slide = slide or Slide()
    for run in runs:
        slide = learn(watch(slide, run)[0], run)
    return slide


def sliding(first: int, drops: Sequence[float]) -> list[Sample]:
    return [noisy(first + i, drop=drop) for i, drop in enumerate(drops)]


def test_before_ten_runs_nothing_is_summed() -> None:
    slide, test = watch(over(steady(9)), noisy(9, drop=1.0))
    assert test is None
    assert slide.sum.total == 0


def test_small_falls_add_up_to_an_alarm_with_the_run_it_began_with() -> None:
    steps = [0.02 * i for i in range(1, 16)]
    slide = over([*steady(20), *sliding(100, steps)])
    assert slide.alarm
    assert slide.sum.onset_run in range(100, 106)
    assert 0.03 < slide.mean_drop < 0.3


def test_runs_that_stay_the_same_raise_none() -> None:
    assert not any(over(steady(runs)).alarm for runs in range(10, 60, 5))


def test_one_bad_run_is_forgotten_when_the_next_is_back() -> None:
    quiet = over(steady(20))
    after_bad, _ = watch(quiet, noisy(50, drop=1.0))
    assert after_bad.sum.total > quiet.sum.total + 3
    assert not after_bad.alarm
    back, _ = watch(after_bad, noisy(51))
    assert back.sum == watch(quiet, noisy(51))[0].sum


def test_a_deep_fall_of_several_runs_is_no_slide_once_it_is_over() -> None:
    quiet = over(steady(20))
    fallen = quiet
    for run in range(50, 55):
        fallen, _ = watch(fallen, noisy(run, drop=1.0))
    assert fallen.alarm, "while it lasts"
    back, _ = watch(fallen, noisy(55))
    assert back.sum == watch(quiet, noisy(55))[0].sum


def test_a_fall_that_stays_is_an_alarm_in_two_runs() -> None:
    slide = over(steady(20))
    for run in (50, 51):
        slide, _ = watch(slide, noisy(run, drop=0.5))
    assert slide.alarm


def test_an_alarm_is_over_soon_after_the_fall_is() -> None:
    slide = over(steady(20))
    for run in range(50, 70):
        slide, _ = watch(slide, noisy(run, drop=0.5))
    for run in range(70, 75):
        slide, _ = watch(slide, noisy(run, drop=-0.05))
    assert not slide.alarm


def test_the_state_is_all_that_the_next_run_needs() -> None:
    runs = [*steady(15), *sliding(100, [0.1] * 5)]
    assert over(runs[12:], over(runs[:12])) == over(runs)
    assert set(over(runs).cases) == set(runs[0].scores)


@pytest.mark.parametrize("of", [("another", ""), ("", "another judge")])
def test_another_configuration_or_judge_begins_anew(of: tuple[str, str]) -> None:
    fresh, test = watch(over(steady(20)), noisy(50, drop=1.0, configuration=of[0], measured_by=of[1]))
    assert test is None
    assert fresh == Slide(of=of)


def test_cases_that_come_no_more_are_forgotten_at_last() -> None:
    slide = over(sample(run, {f"{run} {case}": 4.0 for case in range(20)}) for run in range(50))
    assert len(slide.cases) <= 40


def test_watching_a_run_learns_nothing_from_it() -> None:
    slide = over(steady(20))
    watched, _ = watch(slide, noisy(50, drop=1.0))
    assert (watched.cases, watched.learned) == (slide.cases, slide.learned)
