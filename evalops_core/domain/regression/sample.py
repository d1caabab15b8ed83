"""What the statistics are told of a run, by which rules they judge it, and what they say of it.

What belongs here: plain values. What does not: how any of them is computed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from evalops_core.domain.regression.fixed import Severity, VerdictOutcome

if TYPE_CHECKING:
    from evalops_core.domain.regression.cusum import Slide

RuleName = Literal["fixed_drop", "paired", "history", "cusum"]
RuleChoice = Literal["auto", "fixed_drop", "paired", "history", "cusum"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run's scores, 1–5.

    `scores` maps a case's id to its mean over axes and repeats, scored cases alone; `unscored` are the ids of the
    others. `groups` gives the source that a case shares with others: those are never counted as independent; a case
    that it leaves out, or gives None, stands alone. `measured_by` is the fingerprint of judge and scorers, without
    which scores mean something else; `configuration` the digest of everything that a score depends on. A sample
    is told from others by `run`.
    """

    run: int | str
    scores: Mapping[str, float]
    groups: Mapping[str, str | None] = field(default_factory=dict[str, "str | None"])
    measured_by: str = ""
    configuration: str = ""
    repeats: int = 1
    unscored: frozenset[str] = frozenset()

    @property
    def mean(self) -> float | None:
        return math.fsum(self.scores.values()) / len(self.scores) if self.scores else None

    @property
    def coverage(self) -> float:
        """The share of its cases that have a score; 0 where it has no case."""
        total = len(self.scores) + len(self.unscored)
        return len(self.scores) / total if total else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """By which rule a run is judged, and from where on a drop counts.

    `alpha` is the false alarms that rules B and C may give a comparison; `min_effect` and `drop` are on the 1–5 scale:
    a smaller drop than `min_effect` is never an alarm of theirs, nor one of rule D whose runs since the onset are low
    by less than half of it on average; one of `drop` or more always is one of `auto`. With
    fewer common cases than `min_cases`, a smaller share of them than `min_overlap`, or a smaller share of scored cases
    than `min_coverage`, nothing can be said. Without `page_at_once` a fall pages only once a second run has seen it
    (see `Assessment.needs_confirmation`); with it, one at p ≤ `page_alpha`, or of `drop` or more, pages by itself.
    """

    rule: RuleChoice = "auto"
    alpha: float = 0.01
    page_alpha: float = 0.001
    min_effect: float = 0.10
    drop: float = 0.5
    min_cases: int = 10
    min_overlap: float = 0.8
    min_coverage: float = 0.95
    page_at_once: bool = False


@dataclass(frozen=True, slots=True)
class CaseFall:
    """A case that fell, on the 1–5 scale; `z` is its fall in standard deviations of such differences, None where no
    noise was seen."""

    case: str
    before: float
    after: float
    z: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What the rules say of `run`. `drop` is before − after over the common cases, so that a fall is positive.

    `ci_low` and `ci_high` bound the drop at 95 %, two-sided; `p_value` is one-sided, for a fall; `sign_flip_p` stands
    beside rule C's where it found something: whether it would show on other cases of the kind too. `n` common cases
    are in `n_clusters` independent groups. `mde` is the smallest drop found with 80 % power at a false alarm of 1 %.
    `baseline_runs` are those compared with, oldest first, and `runs_used` how many: rule D counts all that it has
    learned from and names those it was given. `missing` and `new` are ids of cases that only the
    baseline or only this run has. `onset_run` is the first run of a slide (rule D). `slide` is rule D's state with
    this run in the sum and not yet in what it has learned.

    `needs_confirmation`: a fall that only this run has seen; a confirming run, or the next scheduled one, decides
    whether it pages. None stands for what does not exist: no number here is ever NaN.
    """

    run: int | str
    outcome: VerdictOutcome
    why: str
    severity: Severity = "none"
    rule: RuleName | None = None
    drop: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None
    sign_flip_p: float | None = None
    n: int = 0
    n_clusters: int = 0
    repeats: int = 1
    baseline_runs: tuple[int | str, ...] = ()
    runs_used: int = 0
    before: float | None = None
    after: float | None = None
    se: float | None = None
    mde: float | None = None
    worst: tuple[CaseFall, ...] = ()
    missing: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    onset_run: int | str | None = None
    needs_confirmation: bool = False
    slide: "Slide | None" = None
