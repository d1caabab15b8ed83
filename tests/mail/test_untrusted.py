import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalops_core.mail.untrusted import few_lines, one_line

ANY = st.text() | st.text(alphabet=[*"ab \n\r\t\x00\x1b\x85", "\u202e", "\u2066", "\ud83d", "\u0301", "字"])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("  two   words ", "two words"),
        ("a\r\nBcc: b", "a Bcc: b"),
        ("nul\x00 esc\x1b[31m del\x7f c1\x9b", "nul esc[31m del c1"),
        ("evil\u202egnp.exe\u202c\u2066x\u2069", "evilgnp.exex"),
        ("half an emoji \ud83d", "half an emoji \ufffd"),
        ("family 👨\u200d👩\u200d👧", "family 👨\u200d👩\u200d👧"),  # joiners belong to the text
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("e" + "\u0301" * 500, "e" + "\u0301" * 4),
        ("", ""),
    ],
)
def test_one_line_keeps_what_can_be_shown(text: str, shown: str) -> None:
    assert one_line(text, 100) == shown


def test_a_long_text_is_cut_at_a_word() -> None:
    assert one_line("the quick brown fox jumps", 18) == "the quick brown…"
    assert one_line("the quick brown fox", 19) == "the quick brown fox"


def test_a_long_word_is_cut_where_it_is() -> None:
    assert one_line("字" * 100, 10) == "字" * 9 + "…"


def test_a_text_whose_rest_nobody_looked_at_is_cut_too() -> None:
    assert few_lines("short" + " " * 100_000 + "rest", 300) == "short…"


def test_few_lines_keep_the_texts_own_lines() -> None:
    assert few_lines("one\n\n\n two\r\nthree\u2028four", 100) == "one\ntwo\nthree\nfour"


def test_a_text_of_many_lines_is_told_in_few() -> None:
    shown = few_lines("\n".join(str(number) for number in range(1000)), 60, lines=3)
    assert shown.split("\n")[:2] == ["0", "1"]
    assert shown.count("\n") == 2


@given(ANY, st.integers(1, 40))
def test_what_is_shown_can_be_stored_and_is_short(text: str, limit: int) -> None:
    for shown in (one_line(text, limit), few_lines(text, limit, lines=4)):
        assert len(shown) <= limit
        assert "\x00" not in shown
        shown.encode()  # no lone surrogates
    assert "\n" not in one_line(text, limit)
    assert few_lines(text, limit, lines=4).count("\n") < 4
