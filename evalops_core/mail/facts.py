"""What a mail says, as plain values.

What belongs here: the facts of the kinds of letters. What does not: their wording and look (compose), how they are
found out (run). Scores are on the 1–5 scale, drifts cosine distances in [0, 2], times are aware and shown in UTC; None
is not known or does not apply, and is left out or said in words, never shown as a zero.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, TypeAlias, Union

from evalops_core.domain.drift.day import Rule, State

IncidentKind: TypeAlias = Literal["regression", "no_data", "drift"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A run's score in the picture; `window` is its window's key. `current` marks the run that the mail is about.

    `ci_low` and `ci_high` bound the 95 % confidence interval; None where a run has none.
    """

    window: str
    score: float
    ci_low: float | None
    ci_high: float | None
    current: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class FallenCase:
    """A case that scores less than in the baseline run. `after` None: it has no score now.

    `why` are the judge's reasons for the score now, or why there is none. Texts are whatever a model, a dataset or a
    judge wrote, at any length; all of them are None where texts are kept out of mails, or unknown. `z` is the fall in
    standard deviations of such differences, None where the statistics did not look.
    """

    case_id: str
    before: float
    after: float | None
    input: str | None
    reference: str | None
    answer_before: str | None
    answer_after: str | None
    why: str | None
    z: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RegressionItem:
    """A feature whose score fell by `drop` (positive) from `reference` to `current`, which `threshold` calls too much.

    `n` counts the scored cases of the current run, `se` is its score's standard error. `points` are the runs of the
    picture, the oldest first; `fallen` the cases, the furthest fallen first. `changes` and `unchanged` are phrases of
    what differs and what does not between baseline run and run; no changes: nothing that is recorded. `baseline_run`
    None: the run is not there any more, so that nothing is known about changes. `texts_included`
    False says that the cases' texts are kept out on purpose, `fewer_cases` in words that only a part was compared.
    `evidence` are further facts with what each is called: how sure it is, by which rule.
    """

    incident_id: int
    feature: str
    model_id: str | None
    window: str
    reference: Decimal
    current: Decimal
    drop: Decimal
    n: int | None
    se: Decimal | None
    threshold: Decimal
    points: tuple[Point, ...]
    fallen: tuple[FallenCase, ...]
    changes: tuple[str, ...]
    unchanged: tuple[str, ...]
    baseline_window: str | None
    baseline_run: int | None
    run: int
    asset_url: str
    run_url: str | None
    texts_included: bool
    fewer_cases: str | None
    evidence: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolvedItem:
    """An incident that is over, with the scores of a regression, or the drift of the day that ended one.

    `days` is how many days of drift it lasted for, the one that opened it included.
    """

    incident_id: int
    feature: str
    model_id: str | None
    kind: IncidentKind
    window: str | None
    reference: Decimal | None
    current: Decimal | None
    opened_at: datetime
    resolved_at: datetime
    asset_url: str
    drift: float | None = None
    threshold: float | None = None
    days: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class NoDataItem:
    """A feature without a valid eval run for too long. `last_valid_at` None: none since it is watched.

    `why` says what became of its last runs. `as_of` is when this was noticed; with it the mail says how many hours it
    is, without it since when.
    """

    incident_id: int
    feature: str
    interval_hours: int
    last_valid_at: datetime | None
    watched_since: datetime
    why: str | None
    asset_url: str
    as_of: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftPoint:
    """A day in the picture. `drift` and `threshold` are None where it was compared with nothing."""

    day: date
    drift: float | None
    threshold: float | None
    state: State


@dataclass(frozen=True, kw_only=True, slots=True)
class FarPrompt:
    """A prompt of the day and its distance from the baseline. `text` is whatever a user wrote, at any length; None
    where texts are kept out, or the trace is not kept any more."""

    trace_id: str
    distance: float
    text: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftItem:
    """A feature of which users ask something else than before: `drift` is above `threshold`, `days_in_a_row` long.

    `day` is the one that opened the incident, `n` counts the prompts of its sample, `baseline_days` are those that it
    was compared with, oldest first, by which `rule`; `alpha` is the share of quiet days that `auto` lets pass its
    threshold. All of those are None or empty where the day's row is gone. `points` are the days of the picture, the
    oldest first, a missing one left out; `farthest` the prompts, the farthest from the baseline first.
    `texts_included` False says that their texts are kept out on purpose.
    """

    incident_id: int
    feature: str
    day: date | None
    drift: float | None
    threshold: float | None
    rule: Rule | None
    alpha: float | None
    days_in_a_row: int | None
    n: int | None
    baseline_days: tuple[date, ...]
    embedding_model: str | None
    why: str
    points: tuple[DriftPoint, ...]
    farthest: tuple[FarPrompt, ...]
    texts_included: bool
    asset_url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ReminderItem:
    """An incident that is still open; scores, drift and days as in `ResolvedItem`, those seen last.

    `window` is that of the day on which `drift` was seen, None for other kinds.
    """

    incident_id: int
    feature: str
    model_id: str | None
    kind: IncidentKind
    opened_at: datetime
    reference: Decimal | None
    current: Decimal | None
    asset_url: str
    window: str | None = None
    drift: float | None = None
    threshold: float | None = None
    days: int | None = None


FiringItem: TypeAlias = Union[RegressionItem, DriftItem, NoDataItem]


@dataclass(frozen=True, kw_only=True, slots=True)
class Firing:
    """Incidents that were opened together, at least one. `ui_url` is the Dagster UI's root.

    `today` lets the mail propose a day until which to silence.
    """

    items: tuple[FiringItem, ...]
    ui_url: str
    today: date | None = None

    @property
    def ordered(self) -> tuple[FiringItem, ...]:
        """As the mail tells them: what fell, what drifted, what brings no data."""
        return (*self.regressions, *self.drifted, *self.silent)

    @property
    def regressions(self) -> tuple[RegressionItem, ...]:
        """The furthest fallen first."""
        fallen = [item for item in self.items if isinstance(item, RegressionItem)]
        return tuple(sorted(fallen, key=lambda item: -item.drop))

    @property
    def drifted(self) -> tuple[DriftItem, ...]:
        """The one with the most times its threshold first."""
        moved = [item for item in self.items if isinstance(item, DriftItem)]
        return tuple(sorted(moved, key=_times, reverse=True))

    @property
    def silent(self) -> tuple[NoDataItem, ...]:
        """The features without data, as they were given."""
        return tuple(item for item in self.items if isinstance(item, NoDataItem))


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """Incidents that ended together, at least one."""

    items: tuple[ResolvedItem, ...]
    ui_url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Reminder:
    """Incidents that are open for long, at least one."""

    items: tuple[ReminderItem, ...]
    ui_url: str
    today: date | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Test:
    """Shows that mails arrive."""

    __test__ = False  # no test class, whatever pytest makes of its name

    ui_url: str


Letter: TypeAlias = Union[Firing, Resolved, Reminder, Test]


def _times(item: DriftItem) -> float:
    """How many times its threshold a drift is; 0 where that is not known."""
    return item.drift / item.threshold if item.drift is not None and item.threshold else 0.0
