"""Lines of logged calls into the store: streamed, counted, and what cannot be used reported by line.

What belongs here: batches, transactions, counts. What does not: shapes of records (traces), what a trace must have
(trace_rules), options and words of the command (evalops_dagster.cli).
"""

import codecs
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from evalops_core.domain.trace import Trace
from evalops_core.errors import ConfigError
from evalops_core.run.redaction import Redact
from evalops_core.run.trace_rules import trace_of
from evalops_core.store.traces import Traces
from evalops_core.traces.call import BadRecordError
from evalops_core.traces.lines import calls_of_line

_BATCH: Final = 1_000  # traces
_BATCH_BYTES: Final = 8_000_000  # of lines: a line may have ten megabytes
_NAMED: Final = 20  # problems


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a line was skipped, or a part of it; the sentence holds none of its texts."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import came to. `new` and `known` count traces. `bad` counts lines with a problem, `partly` those of them
    that gave traces besides, `silent` lines that tell of no call, `usable` all but blank ones and those that only have
    problems; `problems` are the first of them, a line each. `features` maps those that were named to their traces."""

    new: int
    known: int
    bad: int
    partly: int
    silent: int
    usable: int
    problems: tuple[Problem, ...]
    features: Mapping[str, int]


def import_traces(
    engine: Engine,
    lines: Iterable[bytes | str],
    *,
    feature: str | None = None,
    redact: Redact | None = None,
    strict: bool = False,
    now: datetime,
    file: Path | None = None,
) -> Imported:
    """Store the calls that the lines tell of, without ever holding more than some thousand of them.

    `feature` is that of calls which name none. What is stored already is left as it is, so that a file may be imported
    again. Each batch is kept even if a later one fails. With `strict` the first line that cannot be used raises
    ConfigError, which names `file`, and nothing is stored.
    """
    tally = _Tally()
    if strict:
        with engine.begin() as connection:
            _store(Traces(connection), lines, tally, _Reading(feature, redact, now, file, strict))
    else:
        _store(Traces(engine), lines, tally, _Reading(feature, redact, now, file, strict))
    return tally.imported()


@dataclass(frozen=True, slots=True)
class _Reading:
    feature: str | None
    redact: Redact | None
    now: datetime
    file: Path | None
    strict: bool


@dataclass(slots=True)
class _Tally:
    new: int = 0
    stored: int = 0
    bad: int = 0
    partly: int = 0
    silent: int = 0
    usable: int = 0
    problems: list[Problem] = field(default_factory=list["Problem"])
    features: Counter[str] = field(default_factory=Counter[str])

    def imported(self) -> Imported:
        return Imported(
            new=self.new,
            known=self.stored - self.new,
            bad=self.bad,
            partly=self.partly,
            silent=self.silent,
            usable=self.usable,
            problems=tuple(self.problems),
            features=dict(self.features),
        )


def _store(traces: Traces, lines: Iterable[bytes | str], tally: _Tally, reading: _Reading) -> None:
    batch: list[Trace] = []
    size = 0

    def flush() -> None:
        tally.new += traces.insert(batch)
        tally.stored += len(batch)
        tally.features.update(trace.feature for trace in batch)
        batch.clear()

    for number, found in enumerate(lines, start=1):
        line = _without_mark(found) if number == 1 else found
        if not line.strip():
            continue
        batch += _read(line, number, tally, reading)
        size += len(line)
        if len(batch) >= _BATCH or size >= _BATCH_BYTES:
            flush()
            size = 0
    flush()


def _without_mark(line: bytes | str) -> bytes | str:
    """Some programs begin a file with a mark of its encoding."""
    return line.removeprefix(codecs.BOM_UTF8) if isinstance(line, bytes) else line.removeprefix("\ufeff")


def _read(line: bytes | str, number: int, tally: _Tally, reading: _Reading) -> list[Trace]:
    """The line's traces; what is wrong with it goes into the tally, or is raised."""
    found: list[Trace] = []
    problems: list[str] = []
    for call in calls_of_line(line):
        try:
            if isinstance(call, BadRecordError):
                raise call
            found.append(trace_of(call, feature=reading.feature, redact=reading.redact, now=reading.now))
        except BadRecordError as error:
            if reading.strict:
                place = None if reading.file else f"line {number}"
                raise ConfigError(str(error), file=reading.file, line=number, key=place) from None
            problems.append(str(error))
    if problems:
        tally.bad += 1
        tally.partly += bool(found)
        if len(tally.problems) < _NAMED:
            more = f" (the first problem of {len(problems)} in the line)" if len(problems) > 1 else ""
            tally.problems.append(Problem(number, problems[0] + more))
    tally.silent += not problems and not found
    tally.usable += bool(found) or not problems
    return found
