import io
import warnings
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from evalops_core.domain.score import axis_bounds
from evalops_core.mail.facts import Point
from evalops_core.mail.figure import HEIGHT, MOST_POINTS, WIDTH, draw, pieces
from tests.mail.letters import POINTS

REFERENCE, THRESHOLD = Decimal("4.20"), Decimal("0.50")
LINE, CURRENT, FAINT = (0, 0x72, 0xB2), (0xD5, 0x5E, 0), (0x6A, 0x73, 0x7D)


def picture(points: Sequence[Point] = POINTS) -> NDArray[np.uint8]:
    """Pixels of the shape (height, width, 3)."""
    return np.asarray(Image.open(io.BytesIO(draw(points, REFERENCE, THRESHOLD))).convert("RGB"))


def place(pixels: NDArray[np.uint8], colour: tuple[int, int, int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(rows, columns) of the pixels of about this colour, left of the names."""
    plot = pixels[:, : int(WIDTH * 2 * 0.72)].astype(int)
    return np.nonzero((np.abs(plot - np.array(colour)) < 12).all(axis=2))  # pyright: ignore[reportReturnType]  # two axes


def point(window: str, score: float, *, current: bool = False) -> Point:
    return Point(window=window, score=score, ci_low=None, ci_high=None, current=current)


def test_a_picture_is_small_and_twice_as_fine_as_it_is_shown() -> None:
    png = draw(POINTS, REFERENCE, THRESHOLD)
    assert Image.open(io.BytesIO(png)).size == (2 * WIDTH, 2 * HEIGHT) == (1120, 500)
    assert len(png) < 40_000
    assert b"tEXt" not in png
    assert b"tIME" not in png


def test_the_same_points_make_the_same_bytes() -> None:
    assert draw(POINTS, REFERENCE, THRESHOLD) == draw(POINTS, REFERENCE, THRESHOLD)
    assert draw(POINTS, REFERENCE, THRESHOLD) != draw(POINTS, REFERENCE, Decimal("0.40"))


def test_the_background_is_the_pictures_own() -> None:
    assert picture()[0, 0].tolist() == [255, 255, 255]


def test_the_current_run_is_marked_at_its_place() -> None:
    rows, columns = place(picture([point("2026-11-22", 4.2), point("2026-11-23", 3.0, current=True)]), CURRENT)
    low = rows > rows.mean()  # the threshold's dots lie higher
    assert columns[low].mean() > WIDTH
    line, _ = place(picture([point("2026-11-22", 4.2), point("2026-11-23", 3.0)]), LINE)
    assert rows[low].mean() == pytest.approx(line.max(), abs=20)


def test_no_line_is_drawn_over_windows_that_are_missing() -> None:
    joined = [point(f"2026-11-{day:02}", 4.0) for day in (1, 2, 3, 4)]
    apart = [point(f"2026-11-{day:02}", 4.0) for day in (1, 2, 9, 10)]
    columns = [np.unique(place(picture(points), LINE)[1]) for points in (joined, apart)]
    gaps = [int(np.diff(found).max()) for found in columns]
    assert gaps[0] == 1
    assert gaps[1] > 100


def test_a_single_run_is_a_picture() -> None:
    _, columns = place(picture([point("2026-11-24", 3.6, current=True)]), CURRENT)
    assert columns.size


def test_only_the_last_runs_are_drawn() -> None:
    many = [point(f"run {at}", 4.0 + at % 2 / 2) for at in range(500)]
    assert draw(many, REFERENCE, THRESHOLD) == draw(many[-MOST_POINTS:], REFERENCE, THRESHOLD)


def test_there_is_no_picture_of_nothing() -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        draw([], REFERENCE, THRESHOLD)


@settings(max_examples=10, deadline=None)
@given(st.text(max_size=30) | st.sampled_from(["$x", "$\\frac$", "字" * 30, "\x00", "\ud83d", "العربية"]))
def test_a_window_may_be_called_anything(window: str) -> None:
    with warnings.catch_warnings():  # of glyphs that the font lacks
        warnings.simplefilter("error")
        assert draw([point(window, 4.0)], REFERENCE, THRESHOLD).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        (["2026-11-01", "2026-11-02", "2026-11-04"], [(0, 2), (2, 3)]),
        (["2026-11-01-00:00", "2026-11-01-06:00", "2026-11-01-12:00"], [(0, 3)]),
        (["2026-11-01", "2026-11-01", "2026-11-02"], [(0, 3)]),
        (["2026-11-01"], [(0, 1)]),
        (["one", "2026-11-01", "2026-12-01"], [(0, 3)]),
    ],
)
def test_runs_are_joined_where_no_window_is_missing(windows: list[str], expected: list[tuple[int, int]]) -> None:
    assert [(piece.start, piece.stop) for piece in pieces(windows)] == expected


@given(st.lists(st.floats(1.0, 5.0), min_size=1))
def test_the_axis_holds_every_score_and_stays_within_the_scale(scores: list[float]) -> None:
    low, high = axis_bounds(scores)
    assert 1.0 <= low <= min(scores) <= max(scores) <= high <= 5.0
    assert high - low >= 1.0
