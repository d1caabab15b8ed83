"""Days of drift as files that other programs read.

What belongs here: JSON and CSV, with the fields of `DriftDay` in its order. What does not: where they are written.
Neither vectors nor what was asked are in a row: those far from the baseline are named by their traces' ids.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final, Literal

import orjson

from evalops_core.domain.drift.day import DriftDay

DriftFormat = Literal["json", "csv"]
DRIFT_ENDINGS: Final[dict[str, DriftFormat]] = {".json": "json", ".csv": "csv"}


def exported_drift(days: Sequence[DriftDay], form: DriftFormat) -> bytes:
    """A whole file, UTF-8. Times are ISO 8601 in UTC with a Z.

    JSON is one list with an object a day and null for what is missing. CSV has a line of names, nothing for what is
    missing, and lists as JSON in a cell.
    """
    written = orjson.dumps(list(days), option=orjson.OPT_UTC_Z)
    return written + b"\n" if form == "json" else _csv(orjson.loads(written))


def _csv(rows: Sequence[dict[str, Any]]) -> bytes:
    file = io.StringIO()
    lines = csv.writer(file, lineterminator="\n")
    names = [field.name for field in fields(DriftDay)]
    lines.writerow(names)
    lines.writerows([_cell(row[name]) for name in names] for row in rows)
    return file.getvalue().encode()


def _cell(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
