"""Rule D: slow slides, each step of which is too small to see: a cumulative sum over the runs of one configuration.

What belongs here: the sum's state and how a run changes it. What does not: what an alarm sets off (assess), when a
baseline is accepted (the caller starts with a new `Slide` then).

The state is all that a next run needs, so that no history is read again: the sum, and three numbers for each case.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from scipy.special import ndtri

from evalops_core.domain.regression.history import HistoryTest, Moments, history_test
from evalops_core.domain.regression.sample import Sample

ALLOWANCE, THRESHOLD = 0.5, 5.0
FIRST_RUN = 10  # runs learned before the first is judged
FEWEST_OF_CASE = 5
_LEAST_P = 1e-16  # keeps z finite
_MOST_A_RUN = 4.0  # standard deviations that one run may add: one bad run alone is never a slide
_JUMP = 5.0  # a run so far off is no step of a slide if a next one is not half as far off
_MOST = THRESHOLD + 1  # what is over is over soon: the sum does not grow without bound while a fall lasts


class Sum(NamedTuple):
    """S in standard deviations of a run's mean, and what has been summed since it was last 0: from which run on, how
    many runs, and their drops, in score points."""

    total: float = 0.0
    onset_run: int | str | None = None
    runs: int = 0
    drops: float = 0.0

    def with_run(self, run: int | str, z: float, drop: float) -> "Sum":
        total = min(max(0.0, self.total + z - ALLOWANCE), _MOST)
        if total == 0.0:
            return Sum()
        return Sum(total, run if self.runs == 0 else self.onset_run, self.runs + 1, self.drops + drop)


@dataclass(frozen=True, slots=True)
class Slide:
    """The CUSUM over runs of one configuration since its baseline was accepted (Page 1954, Biometrika 41, 100–115).

    `learned` counts the runs that joined the history, and `cases` holds what was learned of each case. Where the last
    run was far off, `jump` is its z and `before_jump` the sum before it and those far off before it, for when it is
    over. `of` is the
    configuration and the judge, by which it knows when to begin anew. Bounded: a dozen numbers, and three for each
    case, of at most twice the cases of the last run.
    """

    of: tuple[str, str] = ("", "")
    sum: Sum = Sum()
    jump: float = 0.0
    before_jump: Sum = Sum()
    learned: int = 0
    cases: Mapping[str, Moments] = field(default_factory=dict[str, Moments])

    @property
    def alarm(self) -> bool:
        return self.sum.total > THRESHOLD

    @property
    def mean_drop(self) -> float:
        """Since the onset, on the 1–5 scale; 0 where S is."""
        return self.sum.drops / self.sum.runs if self.sum.runs else 0.0


def watch(slide: Slide, run: Sample, design_effect: float = 1.0) -> tuple[Slide, HistoryTest | None]:
    """The state with `run` in the sum, S ← max(0, S + z − k) with z = Φ⁻¹(1−p) of rule C against all runs learned.

    Without the test, and the sum unchanged, before 10 runs were learned, or where no case has 5. Nothing is learned
    from `run` here: a run of an open incident is watched and not learned. Runs far off leave the sum again once one
    is back: that was an outlier, or a fall that each of them showed by itself, and no slide.
    """
    if slide.of != (run.configuration, run.measured_by):
        slide = Slide(of=(run.configuration, run.measured_by))
    if slide.learned < FIRST_RUN:
        return slide, None
    test = history_test(slide.cases, run.scores, least=FEWEST_OF_CASE, design_effect=design_effect)
    if test is None:
        return slide, None
    z = -float(ndtri(min(max(test.p_fall, _LEAST_P), 1 - _LEAST_P)))
    so_far = slide.before_jump if z < slide.jump / 2 else slide.sum
    summed = so_far.with_run(run.run, min(z, _MOST_A_RUN), test.drop)
    before = slide.before_jump if slide.jump else slide.sum  # before the first of several runs that are far off
    jumped = z >= _JUMP
    return replace(slide, sum=summed, jump=z if jumped else 0.0, before_jump=before if jumped else Sum()), test


def learn(slide: Slide, run: Sample) -> Slide:
    """The state after `run`, which has been watched, has joined the history.

    Cases that come no more are forgotten once they are as many as those that do.
    """
    if slide.of != (run.configuration, run.measured_by):
        slide = Slide(of=(run.configuration, run.measured_by))
    cases = dict(slide.cases)
    for case, score in run.scores.items():
        cases[case] = cases.get(case, Moments()).with_score(score)
    if len(cases) > 2 * len(run.scores) > 0:
        cases = {case: cases[case] for case in run.scores}
    return replace(slide, cases=cases, learned=slide.learned + 1)
