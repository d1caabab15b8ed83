import json
import os
import tempfile
from pathlib import Path

import pytest

from evalops_core.domain.chat import Message
from evalops_core.domain.suite import Case
from evalops_core.errors import ConfigError
from evalops_core.suites.cases import read_cases
from evalops_core.suites.spooled_cases import SpooledCases


def written(tmp_path: Path, content: str | bytes) -> Path:
    file = tmp_path / "cases.jsonl"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def only(tmp_path: Path, content: str) -> Case:
    (placed,) = read_cases(written(tmp_path, content))
    return placed.case


def test_an_object_gives_template_fields(tmp_path: Path) -> None:
    line = '{"id": 7, "input": {"a": [1, null]}, "reference": {"b": 1.5}, "metadata": {"c": true}, "group": 3}'
    assert only(tmp_path, line) == Case(
        id="7", fields={"a": [1, None]}, reference={"b": 1.5}, metadata={"c": True}, group="3"
    )


def test_a_text_gives_the_field_input(tmp_path: Path) -> None:
    assert only(tmp_path, '{"id": "a", "input": "hello"}') == Case(id="a", fields={"input": "hello"})


def test_messages_are_kept_as_messages(tmp_path: Path) -> None:
    case = only(tmp_path, '{"id": "a", "input": [{"role": "user", "content": "hello"}]}')
    assert case == Case(id="a", messages=(Message("user", "hello"),))


@pytest.mark.parametrize("synonym", ["expected", "expected_output", "ideal", "target"])
def test_a_reference_has_synonyms(tmp_path: Path, synonym: str) -> None:
    assert only(tmp_path, json.dumps({"id": "a", "vars": {"b": 1}, synonym: "c"})) == Case(
        id="a", fields={"b": 1}, reference="c"
    )


def test_blank_lines_windows_line_ends_and_a_byte_order_mark_are_tolerated(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbf{"id": "a", "input": "\xc3\xa9"}\r\n\r\n  \r\n{"id": "b", "input": "x"}'
    placed = read_cases(written(tmp_path, content))
    assert [(item.line, item.case.id) for item in placed] == [(1, "a"), (4, "b")]
    assert placed[0].case.fields == {"input": "é"}


@pytest.mark.parametrize(
    ("line", "key", "words"),
    [
        ('{"input": "x"}', "id", "missing; add it"),
        ('{"id": "b"}', "input", "missing; add it"),
        ('{"id": "a", "input": "x"}', "id", "'a' is on lines 1 and 3"),
        ('{"id": null, "input": "x"}', "id", "expected text, found nothing"),
        ('{"id": true, "input": "x"}', "id", "expected text, found true"),
        ('{"id": 1.5, "input": "x"}', "id", "expected text, found 1.5"),
        ('{"id": " ", "input": "x"}', "id", "not all blank"),
        ('{"id": "a\\u0000", "input": "x"}', "id", "without NUL"),
        (json.dumps({"id": "a" * 201, "input": "x"}), "id", "1 to 200 characters"),
        ('{"id": "b", "input": "x", "refrence": 1}', "refrence", "did you mean reference?"),
        ('{"id": "b", "input": "x", "expected": 1, "ideal": 2}', "ideal", "expected and ideal mean the same"),
        ('{"id": "b", "input": "x", "vars": {}}', "vars", "input and vars mean the same"),
        ('{"id": "b", "input": 12}', "input", "an object of fields, a text, or a list"),
        ('{"id": "b", "input": []}', "input", "must not be empty"),
        ('{"id": "b", "input": [{"role": "bot", "content": "x"}]}', "input[0].role", "found 'bot'"),
        ('{"id": "b", "input": [{"role": "user", "content": [1]}]}', "input[0].content", "text, found a list"),
        ('{"id": "b", "input": ["x"]}', "input[0]", "a mapping of keys to values, found 'x'"),
        ('{"id": "b", "input": "x", "metadata": 1}', "metadata", "a mapping of keys to values, found 1"),
        ('{"id": "b", "input": "x"', None, "not valid JSON: Expecting ',' delimiter at column 25"),
        ("{", None, "each case stands on one line"),
        ('["b"]', None, "one JSON object a line"),
        ('{"id": "b", "input": "x"} {}', None, "Extra data"),
        ('{"id": "b", "input": {"n": NaN}}', None, "NaN is no JSON"),
        ('{"id": "b", "input": {"n": -Infinity}}', None, "-Infinity is no JSON"),
        ('{"id": "b", "input": {"n": 1e999}}', None, "1e999 is too large"),
        ('{"id": "b", "input": {"n": ' + "9" * 5000 + "}}", None, "not usable JSON"),
        ('{"id": "b", "id": "c", "input": "x"}', None, "the key 'id' is given twice"),
        ('{"id": "b", "input": "\\ud800"}', None, "half of a surrogate pair"),
        ('{"id": "b", "input": {"x": ' + "[" * 100 + "]" * 100 + "}}", None, "deeper than 64 levels"),
        ("[" * 200_000, None, "nested deeper than 64 levels"),
    ],
)
def test_a_bad_line_is_refused_by_its_number(tmp_path: Path, line: str, key: str | None, words: str) -> None:
    file = written(tmp_path, f'{{"id": "a", "input": "x"}}\n\n{line}\n')
    with pytest.raises(ConfigError) as caught:
        read_cases(file)
    error = caught.value
    assert (error.file, error.line, error.key) == (file, 3, key), str(error)
    assert words in str(error)
    assert "\n" not in str(error)


def test_a_byte_that_is_no_utf_8_is_named_with_its_line(tmp_path: Path) -> None:
    file = written(tmp_path, b'{"id": "a", "input": "x"}\n{"id": "caf\xe9", "input": "x"}\n')
    with pytest.raises(ConfigError, match=r"cases\.jsonl:2: byte 37 \(0xe9\) is not UTF-8"):
        read_cases(file)


def test_utf_16_is_recognised(tmp_path: Path) -> None:
    file = written(tmp_path, '{"id": "a", "input": "x"}'.encode("utf-16"))
    with pytest.raises(ConfigError, match="looks like UTF-16; save the file as UTF-8"):
        read_cases(file)


@pytest.mark.parametrize("content", ["", "\n \n\n", "\ufeff"])
def test_a_file_without_a_case_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(ConfigError, match="there is no case in it"):
        read_cases(written(tmp_path, content))


def test_a_file_of_200_mb_is_refused_unread(tmp_path: Path) -> None:
    file = written(tmp_path, "")
    os.truncate(file, 200_000_000)  # all of it one line of NUL, which would need the memory if it were read
    with pytest.raises(ConfigError, match=r"has 200\.0 MB and at most 100 MB are read"):
        read_cases(file)


def test_what_is_no_regular_file_is_refused_unopened(tmp_path: Path) -> None:
    pipe = tmp_path / "cases.jsonl"
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match="not a regular file"):
        read_cases(pipe)
    with pytest.raises(ConfigError, match="not a regular file"):
        read_cases(tmp_path)


def test_very_many_cases_read_like_few(tmp_path: Path) -> None:
    content = "".join(f'\n{{"id": "c{number}", "input": "{number}"}}' for number in range(2_500))
    placed = read_cases(written(tmp_path, content))
    assert isinstance(placed.cases, SpooledCases)
    assert len(placed) == len(placed.cases) == 2_500
    assert [(item.case.id, item.line) for item in placed[2_498:]] == [("c2498", 2_500), ("c2499", 2_501)]
    few = read_cases(written(tmp_path, "".join(content.splitlines(keepends=True)[:11])))
    assert few.cases == placed.cases[:10] == tuple(placed.cases[:10])
    assert isinstance(few.cases, tuple)


def test_an_id_given_twice_is_found_however_far_apart(tmp_path: Path) -> None:
    content = "".join(f'{{"id": "c{number % 2_400}", "input": "x"}}\n' for number in range(2_401))
    with pytest.raises(ConfigError, match="'c0' is on lines 1 and 2401; ids are unique"):
        read_cases(written(tmp_path, content))


def test_no_room_for_very_many_cases_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, "".join(f'{{"id": "c{number}", "input": "x"}}\n' for number in range(2_500)))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(ConfigError, match=r"cases\.jsonl.*cannot be written.*set TMPDIR"):
        read_cases(file)
