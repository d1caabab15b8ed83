"""The trend as files that other programs read.

What belongs here: JSON, CSV and Parquet, with the view's columns in its order. What does not: where they are written.
"""

import csv
import io
from collections.abc import Sequence
from datetime import datetime, timezone
from decimal import Decimal
from typing import Final, Literal

import orjson

from evalops_core.trend.columns import COLUMNS
from evalops_core.trend.history import TrendRow

FileFormat = Literal["json", "csv", "parquet"]
ENDINGS: Final[dict[str, FileFormat]] = {".json": "json", ".csv": "csv", ".parquet": "parquet"}


def exported(rows: Sequence[TrendRow], form: FileFormat) -> bytes:
    """A whole file, UTF-8 where it is text. Times are ISO 8601 in UTC with a Z.

    JSON is one list with an object a run, numbers as numbers and null for what is missing. CSV has a line of names,
    numbers with the digits that the database has, and nothing for what is missing. Parquet has the types of
    `trend_frame`.
    """
    if form == "json":
        return orjson.dumps([_named(row) for row in rows], default=float, option=orjson.OPT_UTC_Z) + b"\n"
    return _csv(rows) if form == "csv" else _parquet(rows)


def _named(row: TrendRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in COLUMNS}


def _csv(rows: Sequence[TrendRow]) -> bytes:
    file = io.StringIO()
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(COLUMNS)
    lines.writerows([_cell(value) for value in _named(row).values()] for row in rows)
    return file.getvalue().encode()


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return f"{value:f}"  # never 1E-7
    return "" if value is None else str(value)


def _parquet(rows: Sequence[TrendRow]) -> bytes:
    from evalops_core.trend.frame import trend_frame  # pandas takes its time to import, and only this needs it

    return trend_frame(rows).to_parquet(index=False)
