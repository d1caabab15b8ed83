"""Cases → the JSON that the page's script reads.

What belongs here: its shape, its size, and that it cannot end the element it stands in. What does not: how it is shown
(report.js).
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from evalops_core.trend.report.facts import CaseRow, Cases, CaseSide, Excerpt
from evalops_core.trend.report.texts import LONGEST

# Of many long texts less is kept, so that a browser still opens the page at once.
MOST_CHARACTERS = 24_000_000
_LIMITS = (LONGEST, 1500, 500, 200)
# What could end a `<script>` element, begin a comment in it, or end a line of a script of old.
_UNSAFE = "<>&\u2028\u2029"


def payloads(tables: Mapping[str, Cases]) -> dict[str, str]:
    """A JSON document a table. A text is a string, or [beginning, length of the whole] where it was cut."""
    limit = characters_each(tables.values())
    return {name: _document(cases, limit) for name, cases in tables.items()}


def characters_each(tables: Iterable[Cases], most: int = MOST_CHARACTERS) -> int:
    """How many characters of each text keep all of them within `most`, as far as possible."""
    lengths = [len(text.text) for cases in tables for row in cases.rows for text in _texts(row)]
    fits = (limit for limit in _LIMITS if sum(min(length, limit) for length in lengths) <= most)
    return next(fits, _LIMITS[-1])


def _texts(row: CaseRow) -> list[Excerpt]:
    found = [row.input, row.reference]
    for side in (row.before, row.now):
        if side is not None:
            found += [side.why, side.answer, *(axis.said for axis in side.axes)]
    return [text for text in found if text is not None]


def _document(cases: Cases, limit: int) -> str:
    document = {"now": cases.now, "before": cases.before, "cases": [_row(row, limit) for row in cases.rows]}
    written = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    for character in _UNSAFE:
        written = written.replace(character, f"\\u{ord(character):04x}")
    return written


def _row(row: CaseRow, limit: int) -> dict[str, Any]:
    return {
        "id": row.case_id,
        "input": _text(row.input, limit),
        "reference": _text(row.reference, limit),
        "change": _number(row.change),
        "before": _side(row.before, limit),
        "now": _side(row.now, limit),
    }


def _side(side: CaseSide | None, limit: int) -> dict[str, Any] | None:
    if side is None:
        return None
    return {
        "score": _number(side.score),
        "why": _text(side.why, limit),
        "answer": _text(side.answer, limit),
        "answers": side.answers,
        "purged": side.purged,
        "axes": [[axis.axis, _number(axis.score), _text(axis.said, limit)] for axis in side.axes],
    }


def _text(text: Excerpt | None, limit: int) -> str | list[str | int] | None:
    if text is None:
        return None
    shown = text.shorter(limit)
    return [shown.text, shown.length] if shown.cut else shown.text


def _number(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
