"""The rules replayed over scores that are known already: a verdict for each run of each series.

What belongs here: which earlier runs a run is judged against, and what a verdict looks like on a line. What does not:
reading the scores (score_file), the rules (domain.regression), what the verdicts amount to (backtest_summary).
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypedDict

from evalops_core.domain.regression.assess import assess
from evalops_core.domain.regression.cusum import Slide, learn
from evalops_core.domain.regression.history import MOST_RUNS
from evalops_core.domain.regression.sample import Assessment, Rules, Sample

_DIGITS = 6


class Line(TypedDict):
    """One verdict as it is printed. `drop` and its 95 % interval are on the 1–5 scale, `n` counts cases; None where
    there is no such number."""

    series_id: str
    run_index: int
    outcome: str
    severity: str
    rule: str | None
    drop: float | None
    ci_low: float | None
    ci_high: float | None
    p_value: float | None
    n: int


class Replay:
    """One series, run after run.

    A run that regressed is not history for the next ones, as an open incident's runs are not, so that a fall does not
    become the new normal by lasting; `stateless` takes every earlier run for history. A run that was measured
    otherwise, or of other cases, begins a new baseline. Kept are 10 runs and three numbers for each case.
    """

    def __init__(self, rules: Rules, *, stateless: bool = False) -> None:
        self._rules, self._stateless = rules, stateless
        self._low: bool = False
        self._history: deque[Sample] = deque(maxlen=MOST_RUNS)
        self._slide = Slide()

    def judge(self, run: Sample) -> Assessment:
        """The verdict on the next run; it has to be later than those before."""
        said = assess(run, list(self._history), self._rules, slide=self._slide, standing=self._low)
        self._slide = said.slide or self._slide
        self._low = said.outcome == "regressed"
        known = run.coverage >= self._rules.min_coverage or not self._history
        if known and (self._stateless or not self._low):
            self._history.append(run)
            self._slide = learn(self._slide, run)
        return said


def backtest(series: Iterable[tuple[str, list[Sample]]], rules: Rules, *, stateless: bool = False) -> Iterator[Line]:
    """A line for each run of each series, in their order."""
    for name, runs in series:
        replay = Replay(rules, stateless=stateless)
        for run in runs:
            yield line_of(name, replay.judge(run))


def line_of(series_id: str, said: Assessment) -> Line:
    return {
        "series_id": series_id,
        "run_index": int(said.run),
        "outcome": said.outcome,
        "severity": said.severity,
        "rule": said.rule,
        "drop": _rounded(said.drop),
        "ci_low": _rounded(said.ci_low),
        "ci_high": _rounded(said.ci_high),
        "p_value": None if said.p_value is None else float(f"{said.p_value:.{_DIGITS}g}"),
        "n": said.n,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS) + 0.0  # no -0.0
