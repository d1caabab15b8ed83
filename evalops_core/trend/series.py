"""Runs of one feature as a picture shows them: where each stands, where the line is interrupted, what is shaded.

What belongs here: these decisions, pure. What does not: reading (history), drawing (figure, thumbnail).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil

from evalops_core.domain.score import axis_bounds
from evalops_core.trend.history import TrendRow

_WIDEST_GAP = 3  # places left free where windows are missing, however many


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One run. `place` counts windows from 0 at the left, `missing` the windows before it that have no valid run, cut
    off at 3; `changed` names what of the comparability key is new with it."""

    row: TrendRow
    place: int
    score: float
    ci_low: float | None
    ci_high: float | None
    missing: int
    changed: str | None

    @property
    def interrupts(self) -> bool:
        """Whether no line leads to it from the run before."""
        return self.missing > 0 or self.changed is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """`marks` are the oldest first, at least one. `pieces` cut them where the line is interrupted, `incidents` are the
    places from and to which a regression was open, both included. `reference` is the score that the newest run was
    judged against, `threshold` where a drop from it always counts; both None where nothing was judged."""

    feature: str
    marks: tuple[Mark, ...]
    pieces: tuple[tuple[Mark, ...], ...]
    incidents: tuple[tuple[int, int], ...]
    reference: float | None
    threshold: float | None

    @property
    def places(self) -> int:
        """How many windows the picture is wide."""
        return self.marks[-1].place + 1

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest score shown: halves around all that is drawn."""
        drawn = [value for mark in self.marks for value in (mark.score, mark.ci_low, mark.ci_high)]
        return axis_bounds([value for value in (*drawn, self.reference, self.threshold) if value is not None])


def series_if_any(rows: Sequence[TrendRow], drop: Decimal | None) -> Series | None:
    """`series_of` the rows; None where none of them has a score."""
    return None if all(row.score is None for row in rows) else series_of(rows, drop)


def series_of(rows: Sequence[TrendRow], drop: Decimal | None) -> Series:
    """The series of one feature's `rows`, newest first as the trend has them; those without a score are left out.

    `drop` is what its suite calls a drop that always counts, None where it has none any more. ValueError where no row
    has a score.
    """
    scored = [row for row in reversed(rows) if row.score is not None]
    if not scored:
        raise ValueError("there is nothing to draw")
    marks: list[Mark] = []
    for row in scored:
        missing = _missing(marks[-1].row, row) if marks else 0
        place = marks[-1].place + 1 + missing if marks else 0
        marks.append(_mark(row, place, missing, row.changed if marks else None))
    newest = scored[-1].reference
    return Series(
        feature=scored[-1].feature,
        marks=tuple(marks),
        pieces=_pieces(marks),
        incidents=_incidents(marks),
        reference=None if newest is None else float(newest),
        threshold=None if newest is None or drop is None else max(1.0, float(newest - drop)),
    )


def _mark(row: TrendRow, place: int, missing: int, changed: str | None) -> Mark:
    return Mark(
        row=row,
        place=place,
        score=float(row.score or 0),  # only rows with a score come here
        ci_low=None if row.ci_low is None else float(row.ci_low),
        ci_high=None if row.ci_high is None else float(row.ci_high),
        missing=missing,
        changed=changed,
    )


def _missing(before: TrendRow, row: TrendRow) -> int:
    """Windows between two runs, in lengths of the shorter window, for an interval may have changed in between."""
    length = min(before.window_end - before.window_start, row.window_end - row.window_start)
    return max(0, min(_WIDEST_GAP, ceil((row.window_start - before.window_end) / length)))


def _pieces(marks: Sequence[Mark]) -> tuple[tuple[Mark, ...], ...]:
    pieces: list[list[Mark]] = []
    for mark in marks:
        if not pieces or mark.interrupts:
            pieces.append([])
        pieces[-1].append(mark)
    return tuple(tuple(piece) for piece in pieces)


def _incidents(marks: Sequence[Mark]) -> tuple[tuple[int, int], ...]:
    """Neighbouring runs of one incident, joined, the gaps between them included."""
    spans: list[tuple[int, int, int]] = []
    for mark in marks:
        incident = mark.row.incident_id
        if incident is None:
            continue
        if spans and spans[-1][0] == incident:
            spans[-1] = (incident, spans[-1][1], mark.place)
        else:
            spans.append((incident, mark.place, mark.place))
    return tuple((first, last) for _, first, last in spans)
