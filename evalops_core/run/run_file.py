"""The scores of one run from a file: what `evalops compare` takes in the place of a stored run.

What belongs here: the three formats, their columns, and every complaint about them. What does not: files of many series
(score_file), what the scores mean (domain.regression).
"""

import csv
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from evalops_core.domain.regression.sample import Sample
from evalops_core.errors import ConfigError

ENDINGS = (".csv", ".jsonl", ".parquet")
_REQUIRED, _OPTIONAL = ("case_id", "score"), ("repeat", "cluster_id")
_SLACK = 0.001  # rescaled scores may miss the ends by their rounding
_DIGITS = 6  # of a score: what a file with 32-bit numbers keeps
_Row = Mapping[str, object]
Reader = Callable[[Path], Iterator[tuple[int, _Row]]]


def read_run(file: Path) -> Sample:
    """The file's scores by case, the mean of its repeats; a case whose every score is empty is unscored.

    The sample is named by the file's name, and nothing is known of what measured it. ConfigError, with the line, where
    the file cannot be read as such: no such column, no number from 1 to 5, a case and repeat twice, two clusters of a
    case.
    """
    scores: dict[str, dict[int, float | None]] = {}
    groups: dict[str, str | None] = {}
    for line, row in _rows(file):
        case, repeat = _case(row, file, line), _repeat(row, file, line)
        of_case = scores.setdefault(case, {})
        if repeat in of_case:
            hint = "" if "repeat" in row else "; a column `repeat` tells repeats apart"
            raise ConfigError(f"{case} has repeat {repeat} a second time{hint}", file=file, line=line, key="case_id")
        of_case[repeat] = _score(row, file, line)
        cluster = _words(row.get("cluster_id")) or None
        if groups.setdefault(case, cluster) != cluster:
            raise ConfigError(
                f"{case} is in {groups[case] or 'none'} and in {cluster or 'none'}; expected one cluster",
                file=file,
                line=line,
                key="cluster_id",
            )
    if not scores:
        raise ConfigError("there is no row in it; expected one for each case", file=file)
    values = {case: [score for score in of.values() if score is not None] for case, of in scores.items()}
    return Sample(
        run=file.name,
        scores={case: math.fsum(known) / len(known) for case, known in values.items() if known},
        groups={case: cluster for case, cluster in groups.items() if cluster is not None},
        repeats=max(len(of) for of in scores.values()),
        unscored=frozenset(case for case, known in values.items() if not known),
    )


def _case(row: _Row, file: Path, line: int) -> str:
    case = _words(row.get("case_id"))
    if not case:
        raise ConfigError("expected an id, got nothing", file=file, line=line, key="case_id")
    return case


def _repeat(row: _Row, file: Path, line: int) -> int:
    written = _words(row.get("repeat"))
    number = _number(written or "0")
    if not 0 <= number < math.inf or number % 1:
        raise ConfigError(f"expected a whole number from 0, got {written[:60]!r}", file=file, line=line, key="repeat")
    return int(number)


def _score(row: _Row, file: Path, line: int) -> float | None:
    written = _words(row.get("score"))
    if not written:
        return None
    score = _number(written)
    if not 1 - _SLACK <= score <= 5 + _SLACK:
        raise ConfigError(
            f"expected a number from 1 to 5, or nothing where there is no score, got {written[:60]!r}",
            file=file,
            line=line,
            key="score",
        )
    return round(min(max(score, 1.0), 5.0), _DIGITS)


def _number(written: str) -> float:
    """NaN for what is none."""
    try:
        return float(written)
    except ValueError:
        return math.nan


def _words(value: object) -> str:
    """Nothing for None and for NaN, by which data frames write what is missing."""
    return "" if value is None or value != value else str(value).strip()


def _rows(file: Path) -> Iterator[tuple[int, _Row]]:
    """Each row with the line on which a person finds it; rows without lines of their own are counted from 1."""
    readers: dict[str, Reader] = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
    if not file.is_file():
        raise ConfigError("there is no such file", file=file)
    checked: set[frozenset[str]] = set()
    for line, row in readers[file.suffix.lower()](file):
        columns = frozenset(row)
        missing = [name for name in _REQUIRED if name not in columns]
        if missing and columns not in checked:
            raise ConfigError(
                f"there is no column {' and no '.join(missing)}; expected {', '.join(_REQUIRED)} "
                f"and, if need be, {', '.join(_OPTIONAL)}",
                file=file,
                line=line,
            )
        checked.add(columns)
        yield line, row


def _csv(file: Path) -> Iterator[tuple[int, _Row]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.DictReader(opened)
            for row in reader:
                yield reader.line_num, row
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"it cannot be read as CSV: {error}", file=file) from error


def _jsonl(file: Path) -> Iterator[tuple[int, _Row]]:
    import orjson

    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    row = orjson.loads(line)
                    if not isinstance(row, dict):
                        raise ConfigError("expected one JSON object on the line", file=file, line=number)
                    yield number, cast("dict[str, Any]", row)
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"it cannot be read as JSON lines: {error}", file=file) from error
    except OSError as error:
        raise ConfigError(f"it cannot be read: {error}", file=file) from error


def _parquet(file: Path) -> Iterator[tuple[int, _Row]]:
    import pandas as pd

    try:
        frame = pd.read_parquet(file)
    except (ValueError, OSError) as error:  # pyarrow's own errors are both
        raise ConfigError(f"it cannot be read as Parquet: {error}", file=file) from error
    columns = [name for name in (*_REQUIRED, *_OPTIONAL) if name in frame.columns]
    values = zip(*(frame[name].tolist() for name in columns), strict=True)
    for number, row in enumerate(values, start=1):
        yield number, dict(zip(columns, row, strict=True))
