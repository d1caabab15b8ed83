"""Rows of scores in a `.parquet`, `.csv` or `.jsonl` file.

What belongs here: the formats, their columns, and every complaint about a row. What does not: rows that contradict
each other, and what they add up to (score_file).
"""

# pandas-stubs leave the types of concat, iloc and where unknown
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalops_core.errors import ConfigError

REQUIRED = ("series_id", "run_index", "case_id", "repeat", "score")
OPTIONAL = ("cluster_id", "judge_fp")
_ALIASES = {"scenario_id": "series_id"}
_CHUNK = 100_000
_DIGITS = 6  # of a score: what a file with 32-bit numbers keeps
_SLACK = 0.001  # rescaled scores may miss the ends by their rounding


def read_rows(file: Path) -> Iterator[pd.DataFrame]:
    """The file's rows, a chunk at a time, checked: all the columns below, and `line`, where a person finds the row.

    Ids are texts, `cluster_id` and `judge_fp` empty where there are none; `run_index` and `repeat` are whole numbers;
    `score` is NaN where there is none. ConfigError names the file, line and column and says what was expected.
    """
    readers = {".parquet": _parquet, ".csv": _csv, ".jsonl": _jsonl}
    reader = readers.get(file.suffix.lower())
    if reader is None:
        raise ConfigError(f"expected a file that ends in {', '.join(readers)}", file=file)
    if not file.is_file():
        raise ConfigError("there is no such file", file=file)
    start = 0
    for raw in reader(file):
        raw = raw.rename(columns={old: new for old, new in _ALIASES.items() if new not in raw.columns})
        missing = [name for name in REQUIRED if name not in raw.columns]
        if missing:
            raise ConfigError(
                f"there is no column {' and no '.join(missing)}; expected {', '.join(REQUIRED)} "
                f"and, if need be, {', '.join(OPTIONAL)}",
                file=file,
                line=None if file.suffix == ".parquet" else 1,
            )
        yield _checked(raw, file, start)
        start += len(raw)


def _checked(raw: pd.DataFrame, file: Path, start: int) -> pd.DataFrame:
    # a heading takes the first line of a CSV file; rows of the other formats are counted from 1
    lines = pd.RangeIndex(start, start + len(raw)) + (2 if file.suffix.lower() == ".csv" else 1)
    checked: dict[str, Any] = {"line": np.asarray(lines)}

    def refuse(column: str, bad: "pd.Series[bool]", expected: str) -> None:
        if bad.any():
            position = int(np.flatnonzero(bad.to_numpy())[0])
            value = raw[column].iloc[position]
            raise ConfigError(
                f"expected {expected}, got {_shown(value)}", file=file, line=int(lines[position]), key=column
            )

    for column in ("series_id", "case_id"):
        refuse(column, _empty(raw[column]), "an id")
        checked[column] = _text(raw[column])
    for column in ("run_index", "repeat"):
        numbers = pd.to_numeric(raw[column], errors="coerce")
        refuse(column, numbers.isna() | (numbers % 1 != 0) | (numbers < 0), "a whole number from 0")
        checked[column] = numbers.astype("int64").to_numpy()
    blank = _empty(raw["score"])
    numbers = pd.to_numeric(raw["score"].where(~blank), errors="coerce").astype("float64")
    off_scale = (numbers < 1 - _SLACK) | (numbers > 5 + _SLACK)
    refuse("score", (~blank & numbers.isna()) | off_scale, "a number from 1 to 5, or nothing where there is no score")
    checked["score"] = numbers.round(_DIGITS).to_numpy()
    for column in OPTIONAL:
        absent = column not in raw.columns
        checked[column] = "" if absent else _text(raw[column].where(~_empty(raw[column]), ""))
    return pd.DataFrame(checked)


def _empty(column: "pd.Series[Any]") -> "pd.Series[bool]":
    return column.isna() | (column.astype(str).str.strip() == "")


def _text(column: "pd.Series[Any]") -> NDArray[np.object_]:
    return column.astype(str).to_numpy(dtype=object)


def _shown(value: Any) -> str:
    return "nothing" if bool(pd.isna(value)) else repr(str(value))[:60]


def _csv(file: Path) -> Iterator[pd.DataFrame]:
    try:
        with pd.read_csv(
            file, dtype=str, keep_default_na=False, chunksize=_CHUNK, encoding="utf-8-sig", skip_blank_lines=False
        ) as chunks:
            yield from chunks
    except pd.errors.EmptyDataError:
        raise ConfigError("it is empty; expected a heading and a row for each score", file=file) from None
    except (pd.errors.ParserError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"it cannot be read as CSV: {error}", file=file) from error


def _jsonl(file: Path) -> Iterator[pd.DataFrame]:
    import orjson

    rows: list[dict[str, Any]] = []
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise ConfigError(f"expected one JSON object on the line: {error}", file=file, line=number) from error
            if not isinstance(row, dict):
                raise ConfigError("expected one JSON object on the line", file=file, line=number)
            rows.append(cast("dict[str, Any]", row))
            if len(rows) == _CHUNK:
                yield pd.DataFrame(rows, dtype=object)
                rows = []
    if rows:
        yield pd.DataFrame(rows, dtype=object)


def _parquet(file: Path) -> Iterator[pd.DataFrame]:
    import pyarrow  # pyright: ignore[reportMissingTypeStubs]  # it ships none
    from pyarrow import parquet  # pyright: ignore[reportMissingTypeStubs]

    try:
        with parquet.ParquetFile(file) as opened:
            wanted = {*REQUIRED, *OPTIONAL, *_ALIASES}
            columns = [name for name in opened.schema_arrow.names if name in wanted]
            for batch in opened.iter_batches(batch_size=_CHUNK, columns=columns):
                yield batch.to_pandas()
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise ConfigError(f"it cannot be read as Parquet: {error}", file=file) from error
