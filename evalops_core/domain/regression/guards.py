"""What stands before every rule: runs that must not be compared, and comparisons that can say nothing.

What belongs here: measured alike, enough cases, enough in common, enough scored. What does not: the rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from evalops_core.domain.regression.sample import Rules, Sample


@dataclass(frozen=True, slots=True)
class Complaint:
    """Why a comparison can say nothing, as a sentence; `floor`: rule A may still speak, as the cases are the same."""

    why: str
    floor: bool = False


def measured_as(candidate: Sample, history: Sequence[Sample], rules: Rules) -> list[Sample]:
    """The runs since judge and scorers last changed that were measured as the candidate was, oldest first.

    Empty where the newest run was measured otherwise: a fresh baseline begins. Runs that lack scores are left out as
    long as others remain.
    """
    alike: list[Sample] = []
    for run in reversed(history):
        if run.measured_by != candidate.measured_by:
            break
        alike.append(run)
    alike.reverse()
    return [run for run in alike if run.coverage >= rules.min_coverage] or alike


def complaint(candidate: Sample, baseline: Sample, rules: Rules) -> Complaint | None:
    """What stands in the way of comparing the two, None where nothing does.

    Overlap is the common share of the larger of the two sets of cases, scored or not. Rule A alone, as the choice of
    its own, asks for one common case and for coverage.
    """
    common = len(candidate.scores.keys() & baseline.scores.keys())
    total = len(candidate.scores) + len(candidate.unscored)
    if candidate.coverage < rules.min_coverage:
        return Complaint(
            f"only {len(candidate.scores)} of {total} cases have a score, and {rules.min_coverage:.0%} are needed"
        )
    fixed = rules.rule == "fixed_drop"
    ids, earlier = candidate.scores.keys() | candidate.unscored, baseline.scores.keys() | baseline.unscored
    shared, larger = len(ids & earlier), max(len(ids), len(earlier))
    if shared < rules.min_overlap * larger and not fixed:
        return Complaint(f"only {shared} of {larger} cases are in both runs, and {rules.min_overlap:.0%} are needed")
    if common < (1 if fixed else rules.min_cases):
        needed = 1 if fixed else rules.min_cases
        return Complaint(f"{common} common {_cases(common)} scored, and {needed} are needed", floor=common > 0)
    return None


def identical(one: Sample, other: Sample) -> bool:
    """Whether the same cases have the same scores, and the same cases none."""
    return one.scores == other.scores and one.unscored == other.unscored


def _cases(n: int) -> str:
    return "case is" if n == 1 else "cases are"
