"""`cases.jsonl` → cases, with the line that each one stands on.

What belongs here: reading the file safely and saying what is wrong with which line. What does not: what the suite's
prompt and scorers demand of a case (checks).
"""

import json
import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Union, cast, overload

from pydantic import ValidationError

from evalops_core.domain.chat import Message
from evalops_core.domain.suite import Case
from evalops_core.errors import ConfigError
from evalops_core.suites.file_model import listed
from evalops_core.suites.files import CaseFile
from evalops_core.suites.plain_files import decoded, open_plain
from evalops_core.suites.problems import config_error
from evalops_core.suites.spooled_cases import SpooledCases

LARGEST_CASES = 100_000_000
_SPOOLED_ABOVE = 2_000  # cases; below, their objects take a few megabytes and are quicker
DEEPEST = 64
_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "input": ("vars",),
    "reference": ("expected", "expected_output", "ideal", "target"),
}


@dataclass(frozen=True, slots=True)
class PlacedCase:
    line: int
    case: Case


class PlacedCases(Sequence[PlacedCase]):
    """A file's cases with their lines; `cases` are they alone, a tuple, or spooled where there are very many."""

    def __init__(self, cases: Sequence[Case], lines: Sequence[int]) -> None:
        self.cases, self._lines = cases, lines

    def __len__(self) -> int:
        return len(self.cases)

    @overload
    def __getitem__(self, index: int) -> PlacedCase: ...
    @overload
    def __getitem__(self, index: slice) -> "PlacedCases": ...
    def __getitem__(self, index: Union[int, slice]) -> Union[PlacedCase, "PlacedCases"]:
        if isinstance(index, slice):
            return PlacedCases(self.cases[index], self._lines[index])
        return PlacedCase(self._lines[index], self.cases[index])


def read_cases(file: Path) -> PlacedCases:
    """At least one case, ids unique. ConfigError names the line; a file above `LARGEST_CASES` bytes is not read."""
    lines = array("L")
    read = _read(file, lines)
    few = tuple(islice(read, _SPOOLED_ABOVE + 1))
    try:
        cases = few if len(few) <= _SPOOLED_ABOVE else SpooledCases(chain(few, read))
    except OSError as error:
        problem = f"so many cases are kept in a temporary file, and that cannot be written ({error.strerror or error})"
        raise ConfigError(f"{problem}; make room for it, or set TMPDIR to another folder", file=file) from None
    if not cases:
        raise ConfigError("there is no case in it; write one JSON object a line", file=file)
    return PlacedCases(cases, lines)


def _read(file: Path, lines: "array[int]") -> Iterator[Case]:
    """The cases one by one, the line of each put to `lines`."""
    seen: dict[str, int] = {}
    with open_plain(file, LARGEST_CASES) as handle:
        offset = 0
        for number, raw in enumerate(handle, start=1):
            text = decoded(raw, file, number, offset)
            offset += len(raw)
            if not text.strip():
                continue
            case = _case(text, file, number)
            if case.id in seen:
                problem = f"{case.id!r} is on lines {seen[case.id]} and {number}; ids are unique, change one"
                raise ConfigError(problem, file=file, line=number, key="id")
            seen[case.id] = number
            lines.append(number)
            yield case


def _case(text: str, file: Path, line: int) -> Case:
    data = _parsed(text, file, line)
    if not isinstance(data, dict):
        raise ConfigError("expected one JSON object a line, {…}, with nothing around it", file=file, line=line)
    given = cast("dict[str, Any]", data)
    for name, synonyms in _SYNONYMS.items():
        used = [key for key in (name, *synonyms) if key in given]
        if len(used) > 1:
            raise ConfigError(f"{listed(used)} mean the same; keep one", file=file, line=line, key=used[1])
        if used:
            given = {(name if key == used[0] else key): value for key, value in given.items()}
    try:
        case = CaseFile.model_validate(given)
    except ValidationError as error:
        raise config_error(error, given, file, lambda _: line) from None
    return Case(
        id=case.id,
        fields=_fields(case.input),
        messages=_messages(case.input) if isinstance(case.input, list) else (),
        reference=cast("Any", case.reference),
        metadata=cast("dict[str, Any]", case.metadata),
        group=case.group,
    )


def _fields(given: object) -> dict[str, Any]:
    if isinstance(given, str):
        return {"input": given}
    return cast("dict[str, Any]", given) if isinstance(given, dict) else {}


def _messages(given: Iterable[Any]) -> tuple[Message, ...]:
    return tuple(Message(item.role, item.content) for item in given)


class _RefusedError(ValueError):
    """JSON that Python would read and that the standard, or the store, does not know."""


def _parsed(text: str, file: Path, line: int) -> Any:
    try:
        value = _DECODER.decode(text.rstrip(" \t\r\n"))  # so that columns count within the line
        _check(value)
    except json.JSONDecodeError as error:
        hint = "; each case stands on one line" if text.strip() in ("{", "[") else ""
        problem = f"not valid JSON: {error.msg} at column {error.colno}{hint}"
        raise ConfigError(problem, file=file, line=line) from None
    except RecursionError:
        raise ConfigError(f"nested deeper than {DEEPEST} levels; flatten it", file=file, line=line) from None
    except ValueError as error:  # our own, and numbers with more digits than Python converts
        raise ConfigError(f"not usable JSON: {error}", file=file, line=line) from None
    return value


def _check(value: Any) -> None:
    """Depth and characters; with a list of its own, because the depth is not known to be small yet."""
    waiting: list[tuple[Any, int]] = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        if depth > DEEPEST:
            raise _RefusedError(f"nested deeper than {DEEPEST} levels; flatten it")
        if isinstance(item, dict):
            entries = cast("dict[str, Any]", item)
            waiting.extend((key, depth) for key in entries)
            waiting.extend((entry, depth + 1) for entry in entries.values())
        elif isinstance(item, list):
            waiting.extend((entry, depth + 1) for entry in cast("list[Any]", item))
        elif isinstance(item, str):
            try:
                item.encode()
            except UnicodeEncodeError:
                raise _RefusedError("half of a surrogate pair (\\ud8…) is no character; write both or none") from None


def _constant(name: str) -> Any:
    raise _RefusedError(f"{name} is no JSON; write a finite number or null")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _RefusedError(f"{digits[:40]} is too large for a number; write a finite one")
    return number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _RefusedError(f"the key {twice[:80]!r} is given twice; keep one")
    return entries


_DECODER = json.JSONDecoder(parse_constant=_constant, parse_float=_finite, object_pairs_hook=_object)
