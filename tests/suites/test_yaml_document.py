from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalops_core.domain.json import Json
from evalops_core.errors import ConfigError
from evalops_core.suites.yaml_document import Document, read_document

HERE = Path("suite.yaml")


def read(text: str) -> Document:
    return read_document(text, HERE)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("true", True),
        ("'true'", "true"),
        ("~", None),
        ("", None),
        ("12", 12),
        ("012", 12),
        ("0x1F", 31),
        ("0o17", 15),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("2024-05-01", "2024-05-01"),
        ("2024-13-45", "2024-13-45"),
        ("12:30", "12:30"),
        ("! 12", "12"),
    ],
)
def test_plain_scalars_are_read_as_editors_read_them(written: str, value: Json) -> None:
    found = read(f"a: {written}\n").value
    assert found == {"a": value}
    assert type(found["a"]) is type(value)  # pyright: ignore  # 1 and True are equal, and not meant so


def test_every_key_and_item_knows_its_line() -> None:
    document = read("a:\n  - x\n  - b: 1\n    c:\n\n      d: 2\n")
    assert document.line(("a",)) == 1
    assert document.line(("a", 0)) == 2
    assert document.line(("a", 1, "c", "d")) == 6
    assert document.line(("a", 1, "absent", "deeper")) == 3


def test_a_line_of_a_literal_block_is_found_in_the_file() -> None:
    document = read("a: |\n  one\n  two\nb: >\n  one\n  two\n")
    assert document.text_line(("a",), 2) == 3
    assert document.text_line(("a",), None) == 1
    assert document.text_line(("b",), 2) == 4  # folded lines are no longer known


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: [1\n", 2, "not valid YAML"),
        ("a: 1\n\tb: 2\n", 2, "not valid YAML"),
        ("a: 1\nb: 2\na: 3\n", 3, "given twice, on lines 1 and 3"),
        ("a:\n  b: 1\n  b: 2\n", 3, "a.b: given twice"),
        ("a: &x [1]\nb: *x\n", 1, "anchors and aliases"),
        ("a: 1\nb:\n  <<: {c: 1}\n", 3, "merge keys"),
        ("a: !!python/object:os.system {}\n", 1, "is not read"),
        ("a: !!str 12\n", 1, "is not read"),
        ("a: 1\n---\nb: 1\n", 2, "a second document"),
        ("? [a]\n: 1\n", 1, "a key must be plain text"),
        ('a: "\\0"\n', 1, "NUL"),
        ("a: " + "[" * 40 + "]" * 40, 1, "deeper than 32 levels"),
        ("a: .inf\n", 1, "a: .inf is not a finite number"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_by_line(text: str, line: int, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert caught.value.line == line
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_tower_of_aliases_is_refused_before_it_grows() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(ConfigError, match="anchors and aliases"):
        read("\n".join(rows))


def test_a_million_open_brackets_are_refused_without_exhausting_the_stack() -> None:
    with pytest.raises(ConfigError, match=r"deeper than|maximum nesting depth"):  # libyaml's own since PyYAML 6.0.4
        read("[" * 1_000_000)


@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>'\"#%@`?,\n \t\\0x1\0.~<é\ud800\ufeff"), max_size=60))
def test_any_text_is_a_document_or_one_sentence(text: str) -> None:
    try:
        read(text)
    except ConfigError as error:
        assert "\n" not in str(error)  # noqa: PT017  # the other outcome is as good
