"""From bytes to records: which lines are lines of JSON at all."""

import io

import pytest

from evalops_core.traces.lines import LONGEST, bounded_lines, calls_of_line
from tests.traces.reading import problem


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"secret", "expected JSON; found none at column 1"),
        (b'{"messages": NaN}', "expected JSON; found none at column 14"),
        (b'{"messages": "secret \\ud800"}', "expected JSON; found none at column"),
        (b"{", "expected one JSON object a line; found the beginning of one, write each on one line"),
        (b'["secret"]', "expected one JSON object a line; found a list"),
        (b'"secret"', "expected one JSON object a line; found text"),
        (b"null", "expected one JSON object a line; found null"),
        (b'{"x": "secret \xff"}', "expected UTF-8; byte 15 of the line is not"),
        ("{}".encode("utf-16"), "expected UTF-8; byte 1 of the line is not; it looks like UTF-16"),
        (b'{"x":' + b"[" * 100 + b"]" * 100 + b"}", "expected at most 64 levels of lists and objects; found more"),
        (b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"}", "expected JSON; found none at column"),
        (b'"' + b"x" * LONGEST + b'"', "expected at most 10 MB a line; found more, write one call a line"),
    ],
)
def test_a_line_that_cannot_be_read_is_a_sentence_without_its_text(line: bytes, reason: str) -> None:
    assert problem(line).startswith(reason)


def test_another_shape_is_told_what_is_understood() -> None:
    assert problem({"prompt": "secret"}) == (
        "expected `messages` or `input`, at the top or within `request` or `body`, or spans of OpenTelemetry; found "
        "neither"
    )


def test_a_line_of_ten_megabytes_is_read_and_a_longer_one_is_cut_and_the_next_is_whole() -> None:
    stream = io.BytesIO(b"a" * LONGEST + b"\n" + b"b" * (3 * LONGEST) + b"\n\nlast")
    first, second, *others = bounded_lines(stream)
    assert (len(first), others) == (LONGEST + 1, [b"\n", b"last"])
    assert LONGEST < len(second) <= LONGEST + 2
    assert set(second.rstrip()) == {ord("b")}
    (error,) = calls_of_line(second)
    assert "10 MB" in str(error)
