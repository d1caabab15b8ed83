import pytest

from evalops_core.trend.drift_series import drift_series
from evalops_core.trend.series import series_of
from evalops_core.trend.sparkline import Sparkline, drift_sparkline, sparkline
from tests.trend.drift_rows import drift_days
from tests.trend.rows import row


def drawn(days: dict[int, str], changed: int | None = None, width: int = 30, *, plain: bool = False) -> Sparkline:
    """Of runs with these scores on these days, the one of day `changed` measured otherwise than the one before."""
    rows = [
        row(day, score, width="0", changed="judge" if day == changed else None)
        for day, score in sorted(days.items(), reverse=True)
    ]
    return sparkline(series_of(rows, None), width, plain=plain)


def test_blocks_stand_at_the_score_on_the_scale_that_is_said() -> None:
    line = drawn({0: "1.1", 1: "2.0", 2: "3.0", 3: "4.0", 4: "4.9"})
    assert (line.line, line.runs) == ("▁▃▅▇█", 5)
    assert (line.low, line.high, line.bottom, line.top) == (1.1, 4.9, 1.0, 5.0)


def test_noise_is_not_drawn_as_a_fall() -> None:
    line = drawn({0: "4.22", 1: "4.20", 2: "4.21"})
    assert (line.line, line.bottom, line.top) == ("▂▂▂", 4.0, 5.0)


def test_missing_windows_are_gaps_and_a_change_is_a_bar() -> None:
    assert drawn({0: "4.4", 1: "4.4", 3: "4.4"}).line == "▄▄ ▄"
    assert drawn({0: "4.4", 90: "4.4"}).line == "▄   ▄"
    assert drawn({0: "4.4", 1: "4.4"}, changed=1).line == "▄│▄"
    assert drawn({0: "4.4", 2: "4.4"}, changed=2).line == "▄ │▄"


@pytest.mark.parametrize(
    ("width", "line", "runs"), [(6, "▃██ │█", 4), (5, "██ │█", 3), (4, "█ │█", 2), (3, "█", 1), (0, "█", 1)]
)
def test_the_newest_runs_that_fit_are_shown(width: int, line: str, runs: int) -> None:
    found = drawn({0: "3.5", 1: "4.4", 2: "4.4", 4: "4.4"}, changed=4, width=width)
    assert (found.line, found.runs) == (line, runs)
    assert found.low == (3.5 if runs == 4 else 4.4)  # of those that are shown


def test_plain_lines_are_ascii() -> None:
    assert drawn({0: "1.1", 1: "2.0", 3: "4.9"}, changed=3, plain=True).line == ".- |@"


def test_drift_is_drawn_from_zero_up_with_a_space_for_each_day_without_one() -> None:
    line = drift_sparkline(drift_series(drift_days([None, 0.04, 0.16, "gap", None, 0.29])), 30)
    assert line == Sparkline("▁▄  ▆", 3, 0.04, 0.29, 0.0, 0.4)
    assert drift_sparkline(drift_series(drift_days([0.04, *["gap"] * 30, 0.29])), 30, plain=True) == Sparkline(
        ".   *", 2, 0.04, 0.29, 0.0, 0.4
    )


def test_days_of_which_none_was_compared_have_no_line() -> None:
    assert drift_sparkline(drift_series(drift_days([None, None])), 30) is None
