"""Where measurements are written down: tables for people, JSON lines for programs, and goals beside what was reached.

What belongs here: printing and counting what was missed. What does not: measuring.
"""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

Value = float | int | str | None


@dataclass
class Ledger:
    """`file` gets a line of JSON for each row and each goal, after those of earlier runs; None for no file."""

    file: Path | None = None
    missed: int = 0

    def table(self, title: str, rows: Sequence[Mapping[str, Value]]) -> None:
        """All rows have the keys of the first."""
        print(f"\n{title}")
        cells = [list(rows[0]), *([shown(value) for value in row.values()] for row in rows)]
        widths = [max(len(line[at]) for line in cells) for at in range(len(cells[0]))]
        for line in cells:
            left, *right = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
            print("  ".join([left.strip().ljust(widths[0]), *right]), flush=True)
        for row in rows:
            self._note({"table": title, **row})

    def goal(
        self, what: str, reached: float, *, limit: float | None = None, floor: float | None = None, unit: str = ""
    ) -> None:
        """`limit` is at most, `floor` at least; with neither it is only told."""
        met = (limit is None or reached <= limit) and (floor is None or reached >= floor)
        self.missed += not met
        asked = f"≤ {shown(limit)}" if limit is not None else f"≥ {shown(floor)}" if floor is not None else ""
        print(f"{what:<72} {shown(reached):>9} {unit:<7} {asked:<10} {'' if met else 'MISSED'}", flush=True)
        self._note({"goal": what, "reached": reached, "limit": limit, "floor": floor, "unit": unit, "met": met})

    def say(self, words: str) -> None:
        print(words, flush=True)
        self._note({"note": words})

    def _note(self, facts: Mapping[str, Value]) -> None:
        if self.file is not None:
            with self.file.open("a", encoding="utf-8") as lines:
                lines.write(
                    json.dumps({"at": datetime.now(timezone.utc).isoformat(timespec="seconds"), **facts}) + "\n"
                )


def shown(value: Value) -> str:
    """Three digits or so: more is noise."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else value


def machine() -> str:
    """What figures depend on, in a line; without the machine's name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, {memory:.0f} GB, "
        f"{platform.system()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f} at the start"
    )
