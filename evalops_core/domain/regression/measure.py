"""A run measured against a baseline by one of the tests, in the form that an assessment reports.

What belongs here: pairing cases by id and calling a test. What does not: what the numbers mean (assess), the tests.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evalops_core.domain.regression.history import HistoryTest, history_test, moments_of
from evalops_core.domain.regression.paired import paired_test, sign_flip
from evalops_core.domain.regression.sample import CaseFall, RuleName, Sample

_WORST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The numbers of one test, see `Assessment`. `before` and `after` are by case, `noise` the SD of one case's
    difference (None where it is unknown), `clusters` parallel to the cases."""

    rule: RuleName
    drop: float
    p_fall: float
    p_rise: float
    se: float | None
    low: float | None
    high: float | None
    before: Mapping[str, float]
    after: Mapping[str, float]
    clusters: tuple[object, ...]
    spread: Mapping[str, float] = field(default_factory=dict[str, float])
    baseline_runs: tuple[int | str, ...] = ()
    runs_used: int = 1

    @property
    def n(self) -> int:
        return len(self.before)

    @property
    def n_clusters(self) -> int:
        return len(set(self.clusters))

    @property
    def mean_before(self) -> float:
        return math.fsum(self.before.values()) / self.n

    @property
    def mean_after(self) -> float:
        return math.fsum(self.after.values()) / self.n

    def worst(self) -> tuple[CaseFall, ...]:
        """The cases that fell furthest, at most five, none that did not fall."""
        falls = sorted(self.before, key=lambda case: (self.after[case] - self.before[case], case))[:_WORST]
        return tuple(
            CaseFall(
                case,
                self.before[case],
                self.after[case],
                (self.before[case] - self.after[case]) / self.spread[case] if self.spread.get(case) else None,
            )
            for case in falls
            if self.after[case] < self.before[case]
        )

    def sign_flip_p(self) -> float:
        """Rule B's p on the same differences."""
        sums: dict[object, list[float]] = {}
        for case, cluster in zip(self.before, self.clusters, strict=True):
            sums.setdefault(cluster, []).append(self.before[case] - self.after[case])
        return sign_flip([math.fsum(of) for of in sums.values()])[0]


def mean_drop(candidate: Sample, baseline: Sample) -> float | None:
    """By how much the mean over the cases that both have scored is lower; None where there is none."""
    falls = [baseline.scores[case] - score for case, score in candidate.scores.items() if case in baseline.scores]
    return math.fsum(falls) / len(falls) if falls else None


def by_pairs(candidate: Sample, baseline: Sample) -> Measured:
    """Rule B over the cases that both have scored. ValueError where there is none."""
    cases = [case for case in candidate.scores if case in baseline.scores]
    clusters = clusters_of(candidate, cases)
    differences = [baseline.scores[case] - candidate.scores[case] for case in cases]
    test = paired_test(differences, clusters)
    noise = math.sqrt(math.fsum((d - test.drop) ** 2 for d in differences) / (len(cases) - 1)) if len(cases) > 1 else 0
    return Measured(
        rule="paired",
        drop=test.drop,
        p_fall=test.p_fall,
        p_rise=test.p_rise,
        se=test.se,
        low=test.low,
        high=test.high,
        before={case: baseline.scores[case] for case in cases},
        after={case: candidate.scores[case] for case in cases},
        clusters=clusters,
        spread=dict.fromkeys(cases, noise),
        baseline_runs=(baseline.run,),
    )


def by_history(candidate: Sample, history: Sequence[Sample], effect: float) -> Measured | None:
    """Rule C against `history`; None where no case of it is the candidate's. For `effect` see `design_effect`."""
    test = history_test(moments_of(history), candidate.scores, design_effect=effect)
    return None if test is None else by_test("history", test, candidate, history, len(history))


def by_test(rule: RuleName, test: HistoryTest, candidate: Sample, history: Sequence[Sample], runs: int) -> Measured:
    """What rule C's test has said, against `history` or against all that rule D has learned."""
    clusters = clusters_of(candidate, test.cases)
    after = {case: candidate.scores[case] for case in test.cases}
    differences = test.differences.tolist()
    se, low, high = test.se, test.low, test.high
    if se is None:  # no noise was seen: how much the cases differ among themselves is all that is known
        pairs = paired_test(differences, clusters)
        se, low, high = pairs.se, pairs.low, pairs.high
    return Measured(
        rule=rule,
        drop=test.drop,
        p_fall=test.p_fall,
        p_rise=test.p_rise,
        se=se,
        low=low,
        high=high,
        before={case: after[case] + d for case, d in zip(test.cases, differences, strict=True)},
        after=after,
        clusters=clusters,
        spread={
            case: test.noise * math.sqrt(1 + 1 / count)
            for case, count in zip(test.cases, test.counts.tolist(), strict=True)
        },
        baseline_runs=tuple(run.run for run in history),
        runs_used=runs,
    )


def clusters_of(run: Sample, cases: Sequence[str]) -> tuple[object, ...]:
    """The cluster of each case: its group, else a cluster of its own."""
    return tuple(("group", group) if (group := run.groups.get(case)) is not None else ("case", case) for case in cases)
