"""The forms in which texts are compared, quoted and sent on.

What belongs here: normal forms of one text. What does not: comparing two of them (the scorers).
"""

import unicodedata

from evalops_core.scorers.patterns import compile_pattern

# Kept because it carries a number's meaning: 3.5, 2024-01-05, 10:30, -5, .5
_IN_NUMBERS = r"(?<=\d)\p{P}(?=\d)|(?<!\w)-(?=\.?\d)|(?<![\w.])\.(?=\d)"
_PUNCTUATION = compile_pattern(rf"(?:{_IN_NUMBERS})(*SKIP)(*FAIL)|(?P<joining>['’.`])|\p{{P}}")
_MINUS = str.maketrans({"\N{MINUS SIGN}": "-"})


def comparable(text: str, *, ignore_case: bool, ignore_punctuation: bool = False) -> str:
    """NFKC with single spaces; case folded and without punctuation where that is ignored.

    An apostrophe, full stop or backtick vanishes (`U.S.A.` = `USA`), other punctuation counts as a space; punctuation
    within a number stays. A text of nothing but punctuation keeps it, so that `?` is never equal to `!`.
    """
    plain = unicodedata.normalize("NFKC", text).translate(_MINUS)
    if ignore_case:
        plain = unicodedata.normalize("NFKC", plain.casefold())
    if ignore_punctuation:
        bare = _PUNCTUATION.replace(lambda joining: "" if joining else " ", plain)
        plain = bare if bare.strip() else plain
    return " ".join(plain.split())


def well_formed(text: str) -> str:
    """With U+FFFD for what UTF-8 or PostgreSQL cannot hold: lone surrogates (which JSON can spell) and NUL."""
    if "\0" not in text:
        try:
            text.encode()
        except UnicodeEncodeError:
            pass
        else:
            return text  # as nearly every text is; the encoder looks at it a hundred times as fast
    return "".join("\N{REPLACEMENT CHARACTER}" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in text)


def excerpt(text: str, limit: int = 200) -> str:
    """Well-formed, on one line and at most `limit` characters long, for reasons and rationales."""
    line = " ".join(well_formed(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
