"""What a backtest's verdicts amount to: alerts per 100 runs and, where it is known what changed when, right and wrong.

What belongs here: counting, and the file of labels. What does not: the verdicts (backtest).
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from evalops_core.errors import ConfigError
from evalops_core.run.backtest import Line

_IDS = ("series_id", "scenario_id")
_CHANGES = ("change_run", "candidate_run")
_FALL = "regression"


@dataclass(frozen=True, slots=True)
class Label:
    """What is known of a series: `label` in a word, `kind` finer, and the first run of the change, None where none.

    A verdict `regressed` is right from `change` on in a series labelled `regression`, and false before. In a series
    with another label every one is counted as an alert, and the label says what to think of it.
    """

    label: str
    kind: str
    change: int | None


@dataclass(slots=True)
class _Count:
    """Series of one kind."""

    series: int = 0
    alarmed: int = 0
    paged: int = 0
    delays: list[int] = field(default_factory=list[int])


@dataclass(slots=True)
class _Series:
    name: str
    alarms: list[int]
    pages: list[int]


class Summary:
    """Fed with every line, a series at a time; keeps counts, and no series that is over."""

    def __init__(self, labels: Mapping[str, Label] | None = None) -> None:
        self._labels = labels or {}
        self._runs = self._compared = self._alerts = self._pages = self._names = 0
        self._kinds: dict[tuple[str, str], _Count] = {}
        self._now: _Series | None = None

    def add(self, line: Line) -> None:
        if self._now is None or self._now.name != line["series_id"]:
            self._close()
            self._names += 1
            self._now = _Series(line["series_id"], [], [])
        self._runs += 1
        self._compared += line["outcome"] not in ("no_baseline", "not_comparable", "inconclusive")
        if line["outcome"] == "regressed":
            self._alerts += 1
            self._now.alarms.append(line["run_index"])
        if line["severity"] == "page":
            self._pages += 1
            self._now.pages.append(line["run_index"])

    def lines(self) -> Iterator[str]:
        """Sentences for a person; call it once, at the end."""
        self._close()
        per = 100 / self._compared if self._compared else 0.0
        yield (
            f"{self._names} series, {self._runs} runs, {self._compared} of them compared: {self._alerts} alerts "
            f"({self._alerts * per:.2f} per 100 runs compared), {self._pages} of them pages ({self._pages * per:.2f})"
        )
        for (label, kind), count in sorted(self._kinds.items()):
            share = f"{count.alarmed} of {count.series} series alerted ({count.alarmed / count.series:.1%})"
            paged = f"{count.paged} paged ({count.paged / count.series:.1%})"
            if label == _FALL:
                after = f", median delay {median(count.delays):g} runs" if count.delays else ""
                yield f"{label}, {kind}: found in {len(count.delays)} of {count.series} series{after}; false: {share}"
            else:
                yield f"{label}, {kind}: {share}, {paged}"

    def _close(self) -> None:
        series, self._now = self._now, None
        label = self._labels.get(series.name) if series is not None else None
        if series is None or label is None:
            return
        count = self._kinds.setdefault((label.label, label.kind), _Count())
        count.series += 1
        falls = label.label == _FALL
        change = label.change if falls and label.change is not None else None
        early = [run for run in series.alarms if change is None or run < change]
        count.alarmed += bool(early)
        count.paged += any(change is None or run < change for run in series.pages)
        if change is not None and (found := [run for run in series.alarms if run >= change]):
            count.delays.append(found[0] - change)


def read_labels(file: Path) -> dict[str, Label]:
    """By series, from a CSV file with columns series_id and label and, if need be, kind and change_run.

    In a series labelled `regression` without a `change_run` (or `candidate_run`) the change is at run 1. ConfigError
    where the file cannot be read so.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.DictReader(opened)
            columns = reader.fieldnames or []
            named = next((name for name in _IDS if name in columns), None)
            if named is None or "label" not in columns:
                raise ConfigError("expected the columns series_id and label in the first line", file=file, line=1)
            at = next((name for name in _CHANGES if name in columns), None)
            return {
                row[named]: Label(row["label"], row.get("kind") or "all", _run(row, at, file, reader.line_num))
                for row in reader
            }
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"the labels cannot be read: {error}", file=file) from error


def _run(row: Mapping[str, str | None], column: str | None, file: Path, line: int) -> int | None:
    text = (row.get(column) if column is not None else None) or ""
    if not text.strip():
        return 1 if row["label"] == _FALL else None
    try:
        run = int(text)
    except ValueError:
        raise ConfigError(f"expected a run index, got {text!r}", file=file, line=line, key=column) from None
    return run if run >= 0 else None
