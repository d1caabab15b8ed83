"""What `evalops trend` prints for people: a line of blocks for each feature, and a table of its runs.

What belongs here: looks. What does not: where the rows come from (trend), files for programs
(evalops_core.trend.export). Drawn without rich, which takes as long as all the rest of a small trend.
"""

import shutil
import textwrap
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from itertools import zip_longest
from typing import TextIO

from evalops_core.mail.untrusted import one_line
from evalops_core.trend.history import TrendRow
from evalops_core.trend.series import series_of
from evalops_core.trend.sparkline import BLOCKS, CHANGE, sparkline

_FILE_WIDTH = 200  # columns where there is no terminal whose edge would cut anything
_ALL_FIT = 100  # columns of a terminal that has room for the whole table
_RUNS = 30  # characters of a feature's line
_BESIDE = 44  # what its numbers take, at most
_LONGEST_NAME, _LONGEST_CELL = 30, 300
_WINDOW = "window (UTC)"

_ASCII = str.maketrans("–│─…", "-|-.")


def print_trend(rows: Sequence[TrendRow], file: TextIO) -> None:
    """`rows` as they are in the trend, newest first; ASCII where `file` can do no more."""
    width = shutil.get_terminal_size().columns if file.isatty() else _FILE_WIDTH
    encoding = file.encoding or "utf-8"
    plain = not _writes(encoding)
    for line in (*_lines(rows, width, plain=plain), "", *_table(rows, width)):
        kept = line.translate(_ASCII).encode(encoding, "replace").decode(encoding) if plain else line
        print(kept.rstrip(), file=file)


def _writes(encoding: str) -> bool:
    try:
        f"{BLOCKS}{CHANGE}–─…".encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _lines(rows: Sequence[TrendRow], width: int, *, plain: bool) -> Iterator[str]:
    of_feature: dict[str, list[TrendRow]] = {}
    for row in rows:
        if row.score is not None:  # as every completed run's is
            of_feature.setdefault(row.feature, []).append(row)
    names = {feature: one_line(feature, _LONGEST_NAME) for feature in of_feature}
    column = max(map(len, names.values()), default=0)
    room = max(1, min(_RUNS, width - column - _BESIDE))
    interrupted = False
    for feature in sorted(of_feature):
        drawn = sparkline(series_of(of_feature[feature], None), room, plain=plain)
        interrupted = interrupted or len(drawn.line) > drawn.runs
        beside = f"{drawn.low:.2f}–{drawn.high:.2f} (last {drawn.runs} runs, blocks {drawn.bottom:g}–{drawn.top:g})"
        if drawn.runs == 1:
            beside = f"{drawn.high:.2f} (one run)"
        yield f"{names[feature]:{column}}  {drawn.line}  {beside}"
    if interrupted:
        yield f"{CHANGE} marks a change of what scores depend on, a space a window without a valid run"


def _table(rows: Sequence[TrendRow], width: int) -> Iterator[str]:
    """On a narrow terminal some columns are left out, and words go on in the next line; numbers are never cut."""
    columns = {heading: cell for heading, cell in _COLUMNS.items() if width >= _ALL_FIT or heading not in _WIDE_ONLY}
    table = [list(columns), *([cell(row) for cell in columns.values()] for row in rows)]
    whole = [max(map(len, cells)) for cells in zip(*table, strict=True)]
    widths = _widths(dict(zip(columns, whole, strict=True)), width)
    gap = " " * (2 if sum(widths.values()) + 2 * len(widths) <= width else 1)
    for place, cells in enumerate(table):
        folded = [textwrap.wrap(cell, widths[heading]) or [""] for heading, cell in zip(columns, cells, strict=True)]
        for parts in zip_longest(*folded, fillvalue=""):
            yield gap.join(
                _aligned(part, heading, widths[heading]) for heading, part in zip(columns, parts, strict=True)
            )
        if place == 0:
            yield gap.join("─" * width for width in widths.values())


def _widths(widths: dict[str, int], width: int) -> dict[str, int]:
    """The columns' own, made narrower one by one until all fit in `width`, or none can be made narrower."""
    widths = dict(widths)
    while sum(widths.values()) + len(widths) - 1 > width:
        widest = max(_FOLDS, key=lambda heading: widths[heading] - _FOLDS[heading])
        if widths[widest] <= _FOLDS[widest]:
            break
        widths[widest] -= 1
    return widths


def _aligned(part: str, heading: str, width: int) -> str:
    return f"{part:{width}}" if heading in _FOLDS or heading == _WINDOW else f"{part:>{width}}"


def _number(value: Decimal | None, form: str) -> str:
    return "–" if value is None else f"{value:{form}}"


def _interval(row: TrendRow) -> str:
    return "–" if row.ci_low is None or row.ci_high is None else f"{row.ci_low:.2f}–{row.ci_high:.2f}"


def _cost(row: TrendRow) -> str:
    return "unknown" if row.cost_usd is None else f"${row.cost_usd:.4f}"


_COLUMNS: dict[str, Callable[[TrendRow], str]] = {
    "feature": lambda row: one_line(row.feature, _LONGEST_CELL),
    _WINDOW: lambda row: row.partition_key,
    "score": lambda row: _number(row.score, ".3f"),
    "delta": lambda row: _number(row.delta, "+.3f"),
    "mean 7": lambda row: _number(row.mean_7, ".3f"),
    "95 % CI": _interval,
    "verdict": lambda row: "–" if row.verdict is None else row.verdict.replace("_", " "),
    "cases": lambda row: f"{row.n or 0}/{(row.n or 0) + (row.n_unscored or 0)}",
    "model": lambda row: "–" if row.model_id is None else one_line(row.model_id, _LONGEST_CELL),
    "cost": _cost,
}
_FOLDS = {"feature": 8, "verdict": 10, "model": 8}  # to so many characters at least
_WIDE_ONLY = ("mean 7", "cost")
