from datetime import timedelta
from decimal import Decimal

import pytest

from evalops_core.trend.series import series_of
from tests.trend.rows import START, row, rows


def test_runs_stand_from_the_oldest_to_the_newest_a_window_apart() -> None:
    series = series_of(rows(["4.0", "4.1", "3.9"]), None)
    assert [(mark.place, mark.score) for mark in series.marks] == [(0, 4.0), (1, 4.1), (2, 3.9)]
    assert len(series.pieces) == 1
    assert series.places == 3


def test_a_window_without_a_valid_run_is_a_gap_that_no_line_crosses() -> None:
    series = series_of(rows(["4.0", "4.1", None, "3.9"]), None)
    assert [mark.place for mark in series.marks] == [0, 1, 3]
    assert [[mark.place for mark in piece] for piece in series.pieces] == [[0, 1], [3]]


def test_a_long_pause_takes_no_more_room_than_three_windows() -> None:
    series = series_of([row(90, "4.1"), row(0, "4.0")], None)
    assert [mark.place for mark in series.marks] == [0, 4]


def test_a_change_of_what_is_measured_interrupts_the_line_without_a_gap() -> None:
    series = series_of(rows(["4.0", "4.1", "3.0"], of={2: {"changed": "judge"}}), None)
    assert [[mark.place for mark in piece] for piece in series.pieces] == [[0, 1], [2]]
    assert series.marks[2].changed == "judge"


def test_what_changed_before_the_first_run_shown_is_no_break() -> None:
    series = series_of(rows(["4.0", "4.1"], of={0: {"changed": "judge"}}), None)
    assert series.marks[0].changed is None


def test_a_longer_interval_from_some_day_on_is_no_gap() -> None:
    weekly = row(0, "4.0", window_start=START + timedelta(days=2), window_end=START + timedelta(days=9))
    series = series_of([weekly, row(1, "4.0"), row(0, "4.0")], None)
    assert [mark.missing for mark in series.marks] == [0, 0, 0]


def test_the_runs_of_one_incident_are_one_span_and_those_of_another_are_another() -> None:
    open_ = {place: {"incident_id": 7} for place in (1, 2)} | {4: {"incident_id": 8}, 5: {"incident_id": 9}}
    assert series_of(rows(["4", "3", "3", "4", "3", "3"], of=open_), None).incidents == ((1, 2), (4, 4), (5, 5))


def test_reference_and_threshold_are_those_of_the_newest_run() -> None:
    judged = {0: {"reference": Decimal("4.4")}, 1: {"reference": Decimal("4.2")}}
    series = series_of(rows(["4.0", "4.1"], of=judged), Decimal("0.5"))
    assert (series.reference, series.threshold) == (4.2, pytest.approx(3.7))
    assert series_of(rows(["4.0", "4.1"], of=judged), None).threshold is None
    assert series_of(rows(["4.0", "4.1"]), Decimal("0.5")).reference is None


@pytest.mark.parametrize(
    ("scores", "bounds"),
    [(["4.0"], (3.5, 4.5)), (["1.0"], (1.0, 2.0)), (["5.0"], (4.0, 5.0)), (["1.2", "4.9"], (1.0, 5.0))],
)
def test_the_axis_holds_every_interval_within_the_scale(scores: list[str], bounds: tuple[float, float]) -> None:
    assert series_of(rows(scores), None).bounds == bounds


def test_a_row_without_a_score_is_not_drawn_as_anything() -> None:
    assert len(series_of([row(1, None), row(0, "4.0")], None).marks) == 1
    with pytest.raises(ValueError, match="nothing to draw"):
        series_of([row(0, None)], None)
