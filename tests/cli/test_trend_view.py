"""What `evalops trend` looks like, on terminals and in files."""

import re
from collections.abc import Sequence
from decimal import Decimal
from io import BytesIO, TextIOWrapper
from typing import Any

import pytest

from evalops_core.trend.history import TrendRow
from evalops_dagster.cli.trend_view import print_trend
from tests.trend.rows import row, rows

LONG: dict[str, Any] = {
    "hours": 1,
    "feature": "summarise_incoming_support_tickets_daily",
    "model_id": "openrouter/meta-llama/llama-3.3-70b-instruct-2025-01-01",
    "delta": Decimal("-1.234"),
    "verdict": "not_comparable",
    "n": 1000,
    "n_unscored": 24,
    "cost_usd": Decimal("123.4567"),
}


class Stream(TextIOWrapper):
    """A file, or a terminal, that takes one encoding only."""

    def __init__(self, encoding: str, *, terminal: bool) -> None:
        super().__init__(BytesIO(), encoding)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def printed(shown: Sequence[TrendRow], columns: int | None = None, encoding: str = "utf-8") -> list[str]:
    """Its lines without colours, on a terminal of that width, or in a file."""
    stream = Stream(encoding, terminal=columns is not None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns or 40))
        patch.setenv("TERM", "xterm")
        print_trend(shown, stream)
    stream.seek(0)
    return re.sub(r"\x1b\[[0-9;]*m", "", stream.read()).splitlines()


@pytest.mark.parametrize("columns", [80, 100, 120])
def test_the_table_fits_the_terminal_and_keeps_its_numbers_whatever_the_names(columns: int) -> None:
    lines = printed(rows(["4.236", "4.236"], **LONG), columns)
    assert max(map(len, lines)) <= columns
    numbers = [line for line in lines if "2026-10-01-0" in line]
    assert len(numbers) == 2
    for number in ("4.236", "-1.234", "4.04–4.44", "1000/1024", *(["$123.4567"] if columns >= 100 else [])):
        assert all(number in line for line in numbers), number
    assert sum("comparable" in line for line in lines) == 2


def test_nothing_is_cut_where_there_is_no_terminal() -> None:
    (line,) = [line for line in printed([row(0, "4.236", **LONG)]) if "2026-10-01" in line]
    for whole in (LONG["feature"], LONG["model_id"], "not comparable", "$123.4567", "4.04–4.44"):
        assert whole in line


def test_what_is_missing_is_no_zero() -> None:
    nothing: dict[str, Any] = dict.fromkeys(("ci_low", "ci_high", "delta", "mean_7", "verdict", "model_id", "cost_usd"))
    (line,) = [line for line in printed([row(0, "4.0", **nothing)]) if "2026-10-01" in line]
    assert line.split() == ["explain", "2026-10-01", "4.000", "–", "–", "–", "–", "40/40", "–", "unknown"]


def test_each_feature_has_a_line_with_its_range_its_scale_and_how_many_runs_it_shows() -> None:
    explain = rows(["4.0", "4.4", None, "3.0"], width="0", of={1: {"changed": "judge"}})
    orders = rows(["5.0"], feature="orders")
    lines = printed([*orders, *explain])
    assert lines[:3] == [
        "explain  ▇│█ ▃  3.00–4.40 (last 3 runs, blocks 2.5–4.5)",
        "orders   █  5.00 (one run)",
        "│ marks a change of what scores depend on, a space a window without a valid run",
    ]
    assert "│" not in "".join(printed(orders))


def test_a_line_shows_the_newest_that_fit() -> None:
    many = rows(["1.0", *["4.4"] * 60], width="0")
    assert "4.40–4.40 (last 30 runs" in printed(many)[0]
    for columns in (60, 80):
        line = printed(many, columns)[0]
        assert columns - 5 < len(line) <= columns


def test_ascii_is_enough_where_the_terminal_has_nothing_else() -> None:
    shown = rows(["4.0", None, "4.4"], width="0", feature="erklären", model_id=None)
    lines = printed(shown, encoding="ascii")
    assert lines[0] == "erkl?ren  + @  4.00-4.40 (last 2 runs, blocks 3.5-4.5)"
    assert "unknown" in "".join(lines)


def test_names_are_no_markup_and_no_commands_of_the_terminal() -> None:
    text = "\n".join(printed(rows(["4.0"], feature="[red]f", model_id="m\x1b[2J\rx"), 120))
    assert "[red]f" in text
    assert "\x1b" not in text
