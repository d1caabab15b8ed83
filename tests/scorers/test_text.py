"""Normal forms of texts."""

from hypothesis import given, settings
from hypothesis import strategies as st

from evalops_core.scorers.text import comparable, excerpt, well_formed

ANY_TEXT = st.text(st.characters(), max_size=300)


@settings(deadline=None)
@given(text=ANY_TEXT, ignore_punctuation=st.booleans())
def test_a_normal_form_keeps_no_white_space_but_single_spaces(text: str, ignore_punctuation: bool) -> None:
    plain = comparable(text, ignore_case=True, ignore_punctuation=ignore_punctuation)
    assert plain == " ".join(plain.split())


def test_punctuation_vanishes_but_not_out_of_numbers() -> None:
    plain = comparable(
        "“It's 3.5 (or -.5), on 2024-01-05…” – said e.g. Ann!", ignore_case=True, ignore_punctuation=True
    )
    assert plain == "its 3.5 or -.5 on 2024-01-05 said eg ann"


def test_a_very_long_text_is_read_in_one_pass() -> None:
    assert comparable("a-1.5 !" * 200_000, ignore_case=True, ignore_punctuation=True).count("1.5") == 200_000


@settings(deadline=None)
@given(ANY_TEXT.map(lambda text: text + "\ud800\0"))
def test_a_well_formed_text_can_be_encoded_and_stored(text: str) -> None:
    assert b"\0" not in well_formed(text).encode()


@settings(deadline=None)
@given(text=ANY_TEXT, limit=st.integers(1, 50))
def test_an_excerpt_is_one_line_of_at_most_the_limit(text: str, limit: int) -> None:
    short = excerpt(text, limit)
    assert len(short) <= limit
    assert len(short.splitlines()) <= 1
