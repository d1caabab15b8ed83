"""Texts that a model, a dataset or a judge wrote, as the report quotes them: bounded, and with nothing hidden in them.

What belongs here: how much of a text is kept, and what becomes of characters that cannot be seen. What does not:
escaping, which is the page's; single lines (mail.untrusted). A report is read to find out what a model really wrote, so
line breaks and indentation stay, and what would hide or reorder text is shown by its code.
"""

import re

from evalops_core.trend.report.facts import Excerpt

LONGEST = 4000  # characters of one text
_LOOKED_AT = 2 * LONGEST  # what is cut anyway costs nothing
_BREAK = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
# Controls; embeddings, overrides and isolates of direction; zero widths (joiners stay: emoji need them); tags.
_HIDDEN = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x9f\u180e\u200b\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
# More marks on one letter than any script needs would run over the lines above.
_MARKS = re.compile(
    "([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4})[\u0300-\u036f]+"
)


def excerpt(text: str | None, limit: int = LONGEST) -> Excerpt | None:
    """The first `limit` characters at most; None for no text and for an empty one."""
    if not text:
        return None
    shown = _MARKS.sub(r"\1", _SURROGATE.sub("\ufffd", _BREAK.sub("\n", text[:_LOOKED_AT])))
    shown = _HIDDEN.sub(_code, shown)
    return Excerpt(shown[:limit], len(text), cut=len(shown) > limit or len(text) > _LOOKED_AT)


def _code(hidden: re.Match[str]) -> str:
    return f"⟨U+{ord(hidden[0]):04X}⟩"
