"""Lines of JSON → calls: what a file of traces holds, line by line and never more of it in memory.

What belongs here: bytes to records, and which shape a record has. What does not: the shapes (logged, spans), counting
and storing (run.trace_import).
"""

from collections.abc import Iterator
from typing import BinaryIO, Final

import orjson

from evalops_core.domain.json import Json
from evalops_core.traces.call import BadRecordError, LoggedCall, ensure_flat, kind
from evalops_core.traces.logged import logged_call
from evalops_core.traces.spans import exported_calls, is_span, span_call

LONGEST: Final = 10_000_000  # bytes


def bounded_lines(stream: BinaryIO) -> Iterator[bytes]:
    """The stream's lines; of one that is longer than `LONGEST`, no more than tells so."""
    while line := stream.readline(LONGEST + 2):
        yield line
        rest = line
        while len(rest) > LONGEST and not rest.endswith(b"\n"):
            rest = stream.readline(LONGEST + 2)


def calls_of_line(line: bytes | str) -> Iterator[LoggedCall | BadRecordError]:
    """The calls that a line tells of: none where it is blank or holds other spans, several where it holds many spans.

    In the place of one that cannot be used stands why.
    """
    try:
        yield from calls_of_record(_parsed(line))
    except BadRecordError as error:
        yield error


def calls_of_record(record: Json) -> Iterator[LoggedCall | BadRecordError]:
    """As `calls_of_line`; BadRecordError where the whole record cannot be used."""
    if not isinstance(record, dict):
        raise BadRecordError(f"expected one JSON object a line; found {kind(record)}")
    if "resourceSpans" in record:
        yield from exported_calls(record)
    elif is_span(record):
        call = span_call(record)
        if call is not None:
            yield call
    else:
        yield logged_call(record)


def _parsed(line: bytes | str) -> Json:
    raw = line.encode(errors="surrogatepass") if isinstance(line, str) else line
    text = raw.rstrip(b"\r\n")
    if len(text) > LONGEST:
        raise BadRecordError(f"expected at most {LONGEST // 1_000_000} MB a line; found more, write one call a line")
    try:
        record = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRecordError(_no_json(text, error)) from None
    ensure_flat(record)
    return record


def _no_json(text: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        text.decode()
    except UnicodeDecodeError as undecodable:
        hint = "; it looks like UTF-16" if text[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        return f"expected UTF-8; byte {undecodable.start + 1} of the line is not{hint}"
    if text.strip() in (b"{", b"["):
        return "expected one JSON object a line; found the beginning of one, write each on one line"
    return f"expected JSON; found none at column {error.colno}"
