"""What a day's inputs come to: a pure function of the day, the days before it and the feature's rules.

What belongs here: which days are the baseline, states, streaks, and their words. What does not: how far the day is from
them (measure), incidents (domain.incident).

A day in warning or alerting is no part of any baseline, and is left out before the window is counted: so a drift that
lasts neither poisons what it is compared with nor becomes it. A person who accepts a drift's incident says that this is
how people ask from now on: its days are good then, and what was before it is forgotten.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from evalops_core.domain.drift.day import DriftDay, Far, Rule, State
from evalops_core.domain.suite import DriftSpec

FEWEST_GOOD_DAYS = 3
"""One day's centroid is as noisy as what is compared with it: three halve the noise of the comparison's other side."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A day against its baseline: cosine `drift` and `threshold` in [0, 2], by which rule, and the prompts farthest
    from the baseline, farthest first. `caveat` is what people should know of the threshold."""

    drift: float
    threshold: float
    rule: Rule
    alpha: float | None = None
    farthest: tuple[Far, ...] = ()
    caveat: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The fields of the same names of `DriftDay`."""

    state: State
    streak: int
    why: str
    drift: float | None = None
    threshold: float | None = None
    rule: Rule | None = None
    alpha: float | None = None
    baseline_days: tuple[date, ...] = ()
    farthest: tuple[Far, ...] = ()


def baseline_of(history: Sequence[DriftDay], spec: DriftSpec) -> tuple[DriftDay, ...]:
    """The last good days of a window, oldest first; none while there are too few. `history` is oldest first."""
    good = _good(history)
    return good[-spec.baseline_window :] if len(good) >= _needed(spec) else ()


def decide(today: DriftDay, history: Sequence[DriftDay], spec: DriftSpec, measured: Measured | None) -> Decision:
    """What `today` comes to after `history`, all decided and oldest first.

    `measured` is today against `baseline_of(history, spec)`, None where there is no baseline or no centroid.
    """
    before = _streak(history)
    if not today.has_centroid or today.n < spec.min_sample:
        return Decision(state="insufficient", streak=before, why=_too_few(today, spec, before))
    if measured is None:
        why = f"day {len(_good(history)) + 1} of the first {_needed(spec)}: there is too little to compare it with yet"
        return Decision(state="baseline", streak=0, why=why)
    breached = measured.drift > measured.threshold
    streak = before + 1 if breached else 0
    state: State = "ok" if not breached else "alerting" if streak >= spec.consecutive_days else "warning"
    return Decision(
        state=state,
        streak=streak,
        why=_in_words(measured, state, streak, spec),
        drift=measured.drift,
        threshold=measured.threshold,
        rule=measured.rule,
        alpha=measured.alpha,
        baseline_days=tuple(day.day for day in baseline_of(history, spec)),
        farthest=measured.farthest,
    )


def _good(history: Sequence[DriftDay]) -> tuple[DriftDay, ...]:
    """Oldest first, since what was last accepted."""
    since = _accepted_from(history)
    return tuple(
        day
        for day in history
        if (since is None or day.day >= since)
        and day.has_centroid
        and (day.state in ("baseline", "ok") or day.incident_resolution == "accepted")
    )


def _needed(spec: DriftSpec) -> int:
    return min(FEWEST_GOOD_DAYS, spec.baseline_window)


def _accepted_from(history: Sequence[DriftDay]) -> date | None:
    """The first day of the drift that was last accepted."""
    accepted = [day for day in history if day.incident_resolution == "accepted"]
    if not accepted:
        return None
    return min(day.day for day in accepted if day.incident_id == accepted[-1].incident_id)


def _streak(history: Sequence[DriftDay]) -> int:
    """Breaches in a row so far. A day with too little carries the number on, and one that is missing changes nothing:
    neither says that people ask as before, nor that they do not."""
    if not history or history[-1].incident_resolution == "accepted":
        return 0
    return history[-1].streak


def _too_few(today: DriftDay, spec: DriftSpec, streak: int) -> str:
    malformed = f" ({today.n_malformed} more hold none)" if today.n_malformed else ""
    said = f"{today.n} of at least {spec.min_sample} traces with a user's message{malformed}"
    return f"{said}; {_days(streak)} above the threshold before it stay counted" if streak else said


def _in_words(measured: Measured, state: State, streak: int, spec: DriftSpec) -> str:
    side = "above" if state != "ok" else "within"
    said = f"drift {measured.drift:.3f} is {side} {measured.threshold:.3f}"
    if measured.rule == "auto":
        said += f", which chance exceeds on {measured.alpha:.1%} of days"
    if state == "warning":
        said += f", {_days(streak)} in a row of the {spec.consecutive_days} that alert"
    elif state == "alerting":
        said += f", {_days(streak)} in a row"
    return f"{said}; {measured.caveat}" if measured.caveat else said


def _days(number: int) -> str:
    return "1 day" if number == 1 else f"{number} days"
