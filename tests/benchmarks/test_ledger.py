"""Goals are counted as missed by their own side of the limit, and every figure is written down."""

import json
from pathlib import Path

import pytest

from benchmarks.ledger import Ledger, machine, shown


def test_a_limit_is_met_from_below_and_a_floor_from_above() -> None:
    ledger = Ledger()
    ledger.goal("at most", 2.0, limit=2.0)
    ledger.goal("at least", 8.0, floor=8.0)
    ledger.goal("only told", 1e9)
    assert ledger.missed == 0
    ledger.goal("at most", 2.1, limit=2.0)
    ledger.goal("at least", 7.9, floor=8.0)
    assert ledger.missed == 2


def test_figures_are_lines_of_json_after_those_of_earlier_runs(tmp_path: Path) -> None:
    file = tmp_path / "figures.jsonl"
    for _ in range(2):
        ledger = Ledger(file)
        ledger.table("times", [{"tool": "ours", "wall s": 1.5}, {"tool": "peer", "wall s": None}])
        ledger.goal("quick", 1.5, limit=2.0, unit="s")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(lines) == 6
    assert lines[0].items() >= {"table": "times", "tool": "ours", "wall s": 1.5}.items()
    assert lines[2].items() >= {"goal": "quick", "reached": 1.5, "limit": 2.0, "unit": "s", "met": True}.items()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1234.5, "1,234"),
        (12.34, "12.3"),
        (1.234, "1.23"),
        (0.01234, "0.0123"),
        (1234, "1,234"),
        (None, "–"),
        ("x", "x"),
    ],
)
def test_figures_have_no_more_digits_than_they_deserve(value: float | int | str | None, words: str) -> None:
    assert shown(value) == words


def test_the_machine_is_described_without_its_name() -> None:
    assert "cores" in machine()
