"""Tables of numbers that a terminal of any width and any encoding can show.

What belongs here: columns, folding, ASCII where there is nothing else. What does not: which columns and rows
(trend_view, drift_view). Drawn without rich, which takes as long as all the rest of a small trend.
"""

import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Generic, TextIO, TypeVar

from evalops_core.trend.sparkline import BLOCKS, CHANGE

RowT = TypeVar("RowT")
_FILE_WIDTH = 200  # columns where there is no terminal whose edge would cut anything
_ASCII = str.maketrans("–│─…", "-|-.")


@dataclass(frozen=True, slots=True)
class Column(Generic[RowT]):
    """`folds_to` is how many characters at least a cell has of a line before it goes on in the next one; None for one
    that is never cut. What does not fold stands at the right, unless `left` says otherwise."""

    heading: str
    cell: Callable[[RowT], str]
    folds_to: int | None = None
    left: bool = False


def width_of(file: TextIO) -> int:
    return shutil.get_terminal_size().columns if file.isatty() else _FILE_WIDTH


def is_plain(file: TextIO) -> bool:
    """Whether it can do no more than ASCII."""
    try:
        f"{BLOCKS}{CHANGE}–─…".encode(file.encoding or "utf-8")
    except UnicodeEncodeError:
        return True
    return False


def print_lines(lines: Iterable[str], file: TextIO) -> None:
    """With ASCII in place of what `file` cannot show."""
    encoding, plain = file.encoding or "utf-8", is_plain(file)
    for line in lines:
        kept = line.translate(_ASCII).encode(encoding, "replace").decode(encoding) if plain else line
        print(kept.rstrip(), file=file)


def table_lines(columns: Sequence[Column[RowT]], rows: Sequence[RowT], width: int) -> Iterator[str]:
    """On a narrow terminal words go on in the next line; numbers are never cut."""
    table = [[column.heading for column in columns], *([column.cell(row) for column in columns] for row in rows)]
    widths = _widths(columns, [max(map(len, cells)) for cells in zip(*table, strict=True)], width)
    gap = " " * (2 if sum(widths) + 2 * len(widths) <= width else 1)
    for place, cells in enumerate(table):
        folded = [textwrap.wrap(cell, size) or [""] for cell, size in zip(cells, widths, strict=True)]
        for parts in zip_longest(*folded, fillvalue=""):
            yield gap.join(map(_aligned, parts, columns, widths))
        if place == 0:
            yield gap.join("─" * size for size in widths)


def _widths(columns: Sequence[Column[RowT]], whole: Sequence[int], width: int) -> list[int]:
    """The columns' own, made narrower one by one until all fit in `width`, or none can be made narrower."""
    widths = list(whole)
    while sum(widths) + len(widths) - 1 > width:
        room = [0 if column.folds_to is None else widths[at] - column.folds_to for at, column in enumerate(columns)]
        if max(room) <= 0:
            break
        widths[room.index(max(room))] -= 1
    return widths


def _aligned(part: str, column: Column[RowT], width: int) -> str:
    return f"{part:{width}}" if column.left or column.folds_to is not None else f"{part:>{width}}"
