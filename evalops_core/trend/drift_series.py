"""Days of drift of one feature as a picture shows them: where each stands, what a line joins, what is shaded.

What belongs here: these decisions and the states' words, pure. What does not: reading (drift_history), drawing
(drift_figure, drift_thumbnail).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from evalops_core.domain.drift.day import DriftDay

_HEADROOM = 1.3  # times the highest of what is drawn: what lies within the threshold is seen as small
_NOTHING_YET = 0.15  # what the scale is made for while nothing was compared
_LEAST = 0.01  # and at least: what is next to nothing is not drawn as if it were much


@dataclass(frozen=True, slots=True)
class DriftSeries:
    """`days` are one feature's, the oldest first, at least one; a place is a day of the calendar, rows or not. `ticks`
    are round numbers from 0 up, with room above all that is drawn."""

    days: tuple[DriftDay, ...]
    ticks: tuple[float, ...]

    @property
    def places(self) -> int:
        return self.place(self.days[-1]) + 1

    @property
    def bounds(self) -> tuple[float, float]:
        return self.ticks[0], self.ticks[-1]

    @property
    def compared(self) -> tuple[tuple[DriftDay, ...], ...]:
        """Days with a drift, cut wherever a day of the calendar has none."""
        return self._runs_of(lambda day: day.drift is not None)

    @property
    def limited(self) -> tuple[tuple[DriftDay, ...], ...]:
        """Days with a threshold, cut likewise."""
        return self._runs_of(lambda day: day.threshold is not None)

    @property
    def incidents(self) -> tuple[tuple[DriftDay, DriftDay], ...]:
        """The first and the last day of each, with what lies between."""
        spans: list[tuple[DriftDay, DriftDay]] = []
        for day in self.days:
            if day.incident_id is None:
                continue
            if spans and spans[-1][0].incident_id == day.incident_id:
                spans[-1] = (spans[-1][0], day)
            else:
                spans.append((day, day))
        return tuple(spans)

    @property
    def last_compared(self) -> DriftDay | None:
        return next((day for day in reversed(self.days) if day.drift is not None), None)

    def place(self, day: DriftDay) -> int:
        return (day.day - self.days[0].day).days

    def _runs_of(self, has_it: Callable[[DriftDay], bool]) -> tuple[tuple[DriftDay, ...], ...]:
        pieces: list[list[DriftDay]] = []
        for day in self.days:
            if not has_it(day):
                continue
            if not pieces or day.day - pieces[-1][-1].day != timedelta(days=1):
                pieces.append([])
            pieces[-1].append(day)
        return tuple(tuple(piece) for piece in pieces)


def drift_series(days: Sequence[DriftDay]) -> DriftSeries:
    """Of one feature's days in any order. ValueError for none, and for those of several."""
    if not days:
        raise ValueError("there is nothing to draw")
    if len({day.feature for day in days}) > 1:
        raise ValueError("a picture shows the days of one feature")
    drawn = [value for day in days for value in (day.drift, day.threshold) if value is not None]
    highest = max(_LEAST, *drawn) if drawn else _NOTHING_YET
    return DriftSeries(tuple(sorted(days, key=lambda day: day.day)), _ticks(_HEADROOM * highest))


def _ticks(top: float) -> tuple[float, ...]:
    """Four to six, the last one at `top` or above."""
    power = 10.0 ** math.floor(math.log10(top))
    step = next(step for step in (0.2 * power, 0.5 * power, power, 2 * power) if top / step <= 5)
    return tuple(step * number for number in range(math.ceil(top / step - 1e-9) + 1))


def is_breach(day: DriftDay) -> bool:
    """Whether it was found above its threshold."""
    return day.state in ("warning", "alerting")


def standing(days: Sequence[DriftDay]) -> DriftDay | None:
    """The newest of one feature's days that says how people ask; one with too few traces, or not decided yet, says
    nothing."""
    return max((day for day in days if day.state not in (None, "insufficient")), key=lambda day: day.day, default=None)


def of_day(day: DriftDay) -> str:
    """A day in words: its state, why, and its incident."""
    words = f"{day.day}: {day.state or 'not decided yet'}"
    if day.why:
        words += f", {day.why}"
    return words if day.incident_id is None else f"{words}; {of_incident(day)}"


def of_incident(day: DriftDay) -> str:
    how = " is open" if day.incident_resolution is None else f", {day.incident_resolution}"
    return f"incident {day.incident_id}{how}"


def in_words(series: DriftSeries) -> str:
    """One sentence for those who do not see the picture."""
    days = "1 day" if len(series.days) == 1 else f"{len(series.days)} days since {series.days[0].day}"
    words = f"{series.days[-1].feature}: drift of the inputs, {days}; {of_day(series.days[-1])}"
    last = series.last_compared
    if last is None or last is series.days[-1]:
        return words
    return f"{words}; compared last on {last.day}, drift {last.drift:.3f}"
