"""What `evalops trend` prints for people: a line of blocks for each feature, and a table of its runs.

What belongs here: looks. What does not: where the rows come from (trend), files for programs
(evalops_core.trend.export), how a table is drawn (plain_table).
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TextIO

from evalops_core.mail.untrusted import one_line
from evalops_core.trend.history import TrendRow
from evalops_core.trend.series import series_of
from evalops_core.trend.sparkline import CHANGE, sparkline
from evalops_dagster.cli.plain_table import Column, is_plain, print_lines, table_lines, width_of

_ALL_FIT = 100  # columns of a terminal that has room for the whole table
_RUNS = 30  # characters of a feature's line
_BESIDE = 44  # what its numbers take, at most
_LONGEST_NAME, _LONGEST_CELL = 30, 300


def print_trend(rows: Sequence[TrendRow], file: TextIO) -> None:
    """`rows` as they are in the trend, newest first; ASCII where `file` can do no more."""
    width = width_of(file)
    columns = [column for column in _COLUMNS if width >= _ALL_FIT or column.heading not in _WIDE_ONLY]
    lines = _lines(rows, width, plain=is_plain(file))
    print_lines((*lines, "", *table_lines(columns, rows, width)), file)


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


def _number(value: Decimal | None, form: str) -> str:
    return "–" if value is None else f"{value:{form}}"


def _interval(row: TrendRow) -> str:
    return "–" if row.ci_low is None or row.ci_high is None else f"{row.ci_low:.2f}–{row.ci_high:.2f}"


def _cost(row: TrendRow) -> str:
    return "unknown" if row.cost_usd is None else f"${row.cost_usd:.4f}"


_COLUMNS: Sequence[Column[TrendRow]] = (
    Column("feature", lambda row: one_line(row.feature, _LONGEST_CELL), folds_to=8),
    Column("window (UTC)", lambda row: row.partition_key, left=True),
    Column("score", lambda row: _number(row.score, ".3f")),
    Column("delta", lambda row: _number(row.delta, "+.3f")),
    Column("mean 7", lambda row: _number(row.mean_7, ".3f")),
    Column("95 % CI", _interval),
    Column("verdict", lambda row: "–" if row.verdict is None else row.verdict.replace("_", " "), folds_to=10),
    Column("cases", lambda row: f"{row.n or 0}/{(row.n or 0) + (row.n_unscored or 0)}"),
    Column("model", lambda row: "–" if row.model_id is None else one_line(row.model_id, _LONGEST_CELL), folds_to=8),
    Column("cost", _cost),
)
_WIDE_ONLY = ("mean 7", "cost")  # left out on a narrow terminal
