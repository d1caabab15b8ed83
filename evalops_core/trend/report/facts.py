"""Everything that the report shows, as plain values.

What belongs here: the facts. What does not: reading them (collect, cases), wording and drawing them (page). Scores and
changes are on the 1–5 scale. What is None does not exist, and the page says why.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from evalops_core.domain.drift.day import DriftDay
from evalops_core.domain.eval_run import EvalRun
from evalops_core.domain.incident import Incident
from evalops_core.run.compare import Comparison
from evalops_core.trend.drift_series import is_breach, standing
from evalops_core.trend.history import TrendRow
from evalops_core.trend.series import Series

SuiteState = Literal["there", "broken", "removed"]


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The beginning of a text that a model, a dataset or a judge wrote, and how many characters the whole has."""

    text: str
    length: int
    cut: bool = False

    def shorter(self, limit: int) -> "Excerpt":
        """At most `limit` characters of it."""
        return self if len(self.text) <= limit else Excerpt(self.text[:limit], self.length, cut=True)


@dataclass(frozen=True, slots=True)
class AxisSaid:
    """What was said of one axis of a case: its mean over the repeats, and the reasons; why, where there is no score."""

    axis: str
    score: float | None
    said: Excerpt | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseSide:
    """A case in one run. `why` says why it has no score; `answer` is the first of `answers`, None where none came, or
    where it was `purged` with the reasons."""

    score: float | None
    why: Excerpt | None = None
    answer: Excerpt | None = None
    answers: int = 1
    axes: tuple[AxisSaid, ...] = ()
    purged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRow:
    """A case beside the run before. A side is None where that run does not have the case, `change` where there is none
    or where the two were measured differently. Input and reference are those of today's suite, None where it does not
    have the case."""

    case_id: str
    input: Excerpt | None
    reference: Excerpt | None
    before: CaseSide | None
    now: CaseSide | None
    change: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """The cases of a run, by id, beside those of the run called `before`, None where there is none."""

    now: str
    before: str | None
    rows: tuple[CaseRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRun:
    """The run that a feature is shown by. `found` compares it with the one before; None where `why_not` says why that
    is not possible. `verdict` is the sentence of its scheduled verdict, None while it has none."""

    run: EvalRun
    found: Comparison | None
    why_not: str | None
    verdict: str | None
    cases: Cases


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two runs that somebody asked to see beside each other."""

    found: Comparison
    cases: Cases


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureFacts:
    """A feature that has a suite or a history.

    `rows` are its scheduled, valid runs, newest first, `series` those of its picture, None while there is none; `drift`
    are the days whose inputs were looked at, newest first.
    `incidents` are the open ones. `newest` is the run that was begun last, whatever became of it. `problem` says what
    is wrong with a broken suite.
    """

    name: str
    suite: SuiteState
    problem: str | None
    description: str
    owner: str | None
    rows: tuple[TrendRow, ...]
    series: Series | None
    drift: tuple[DriftDay, ...]
    incidents: tuple[Incident, ...]
    newest: EvalRun | None
    last: LastRun | None

    @property
    def row(self) -> TrendRow | None:
        """Its newest scheduled, valid run."""
        return self.rows[0] if self.rows else None

    @property
    def drifting(self) -> DriftDay | None:
        """The day above its threshold that nothing known since has taken back, while its incident is not over."""
        day = standing(self.drift)
        return day if day is not None and is_breach(day) and day.incident_resolution is None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`database` says where the results come from, without user and password; `limit` is the most runs, or days, of a
    picture. `features` come worst first."""

    made_at: datetime
    database: str
    version: str
    limit: int
    features: tuple[FeatureFacts, ...]
    pair: Pair | None

    @property
    def tables(self) -> Mapping[str, Cases]:
        """Every table of cases, by the id that it has in the page."""
        found = {f"cases-{number}": f.last.cases for number, f in enumerate(self.features) if f.last is not None}
        return found if self.pair is None else {"cases-pair": self.pair.cases, **found}
