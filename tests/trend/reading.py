"""The trend as programs read it: from the view, from a frame, from files."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import pandas as pd
from sqlalchemy import Engine, text

from evalops_core.trend.export import FileFormat
from evalops_core.trend.frame import trend_frame

Rows = list[dict[str, Any]]


def view(engine: Engine) -> Rows:
    """What anybody reads from the view, with numbers as a program has them."""
    query = text("SELECT * FROM evalops.eval_trend ORDER BY window_start DESC, eval_run_id DESC")
    with engine.connect() as connection:
        found = [dict(row) for row in connection.execute(query).mappings()]
    return [{name: float(cell) if isinstance(cell, Decimal) else cell for name, cell in row.items()} for row in found]


def plain(frame: pd.DataFrame) -> Rows:
    """A frame's cells as Python has them, None for what is missing."""
    rows = frame.astype(object).to_dict(orient="records")
    return [
        {
            str(name): None if pd.isna(cell) else cell.to_pydatetime() if isinstance(cell, pd.Timestamp) else cell
            for name, cell in row.items()
        }
        for row in rows
    ]


def from_json(content: bytes) -> Rows:
    return [{name: _read(name, cell) for name, cell in row.items()} for row in json.loads(content)]


def from_csv(content: bytes) -> Rows:
    rows = csv.DictReader(io.StringIO(content.decode()))
    return [{name: None if cell == "" else _read(name, cell) for name, cell in row.items()} for row in rows]


def from_parquet(content: bytes) -> Rows:
    return plain(pd.read_parquet(io.BytesIO(content)))


def _read(name: str, cell: Any) -> Any:
    """A cell of a file that has texts only where there is no other type for it."""
    if cell is None:
        return None
    dtype = str(trend_frame([]).dtypes[name])
    if dtype.startswith("datetime"):
        return datetime.fromisoformat(str(cell).replace("Z", "+00:00"))
    return int(cell) if dtype == "Int64" else float(cell) if dtype == "float64" else cell


READERS: Mapping[FileFormat, Callable[[bytes], Rows]] = {
    "json": from_json,
    "csv": from_csv,
    "parquet": from_parquet,
}
