import io
from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from evalops_core.mail.drift_figure import draw, pieces
from evalops_core.mail.facts import DriftPoint
from evalops_core.mail.figure_parts import HEIGHT, WIDTH
from tests.mail.letters import DRIFT_POINTS

FIRST = date(2026, 11, 1)
LINE, ABOVE = (0, 0x72, 0xB2), (0xD5, 0x5E, 0)


def point(day: int, drift: float | None, threshold: float | None = 0.15) -> DriftPoint:
    """Of the day so many days after the first."""
    limit = None if drift is None else threshold
    return DriftPoint(day=FIRST + timedelta(days=day), drift=drift, threshold=limit, state="ok")


def columns(points: Sequence[DriftPoint], colour: tuple[int, int, int]) -> NDArray[np.intp]:
    """Where there are pixels of about this colour, left of the names."""
    pixels = np.asarray(Image.open(io.BytesIO(draw(points))).convert("RGB"))[:, : int(WIDTH * 2 * 0.72)].astype(int)
    return np.unique(np.nonzero((np.abs(pixels - np.array(colour)) < 12).all(axis=2))[1])


def test_a_picture_is_small_and_twice_as_fine_as_it_is_shown_and_always_the_same() -> None:
    png = draw(DRIFT_POINTS)
    assert Image.open(io.BytesIO(png)).size == (2 * WIDTH, 2 * HEIGHT)
    assert len(png) < 40_000
    assert png == draw(DRIFT_POINTS)


def test_no_line_is_drawn_over_a_day_that_is_missing_or_was_not_compared() -> None:
    days = [point(0, 0.04), point(1, 0.05), point(2, None), point(3, 0.06), point(5, 0.07), point(6, 0.08)]
    assert pieces(days) == [[(0, 0.04), (1, 0.05)], [(3, 0.06)], [(5, 0.07), (6, 0.08)]]
    joined = columns([point(day, 0.05) for day in range(6)], LINE)
    apart = columns([point(day, 0.05) for day in (0, 1, 4, 5)], LINE)
    assert int(np.diff(joined).max()) == 1
    assert int(np.diff(apart).max()) > 100


def test_days_above_the_threshold_are_marked_at_their_place() -> None:
    quiet = [point(day, 0.05, None) for day in range(4)]
    assert columns(quiet, ABOVE).size == 0
    moved = columns([*quiet, point(4, 0.3, 0.15)], ABOVE)
    assert moved.max() > WIDTH
    steps = columns([point(day, 0.05, 0.1 + day / 100) for day in range(4)], ABOVE)
    assert steps.size > WIDTH, "each day's own threshold"


@pytest.mark.parametrize("points", [[point(0, 0.2)], [point(0, None)], [point(0, 0.0, 0.0)], [point(0, 2.0, 2.0)]])
def test_a_single_day_is_a_picture_whatever_it_holds(points: Sequence[DriftPoint]) -> None:
    assert draw(points).startswith(b"\x89PNG")


@settings(max_examples=10, deadline=None)
@given(st.lists(st.none() | st.floats(0, 2), min_size=1, max_size=30))
def test_whatever_the_drifts_are_there_is_a_picture(drifts: list[float | None]) -> None:
    assert draw([point(day, drift) for day, drift in enumerate(drifts)]).startswith(b"\x89PNG")


def test_there_is_no_picture_of_nothing() -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        draw([])
