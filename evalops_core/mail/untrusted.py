"""Texts that a model, a dataset or a judge wrote → texts that can be shown.

What belongs here: what may stay of a text, and how much of it. What does not: escaping, which the HTML templates do for
everything. A mail is kept in PostgreSQL, which takes neither NULs nor lone surrogates.
"""

import re
import unicodedata

# Whoever reorders or hides text: embeddings, overrides, isolates and marks of direction; tags; joiners stay, because
# emoji and several scripts need them.
_UNSHOWN = re.compile(
    "[\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_MARKS = re.compile(
    "([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4})"
    "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
_BREAK = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_LOOKED_AT = 8  # characters before cleaning for each one that is shown; what is cut anyway costs nothing


def one_line(text: str, limit: int) -> str:
    """`text` without line breaks and control characters, runs of spaces as one, at most `limit` characters.

    A longer one is cut at a word and ends in `…`.
    """
    kept = " ".join(_shown(text[: limit * _LOOKED_AT]).split())
    return _cut(kept, limit, more=len(text) > limit * _LOOKED_AT)


def few_lines(text: str, limit: int, lines: int = 12) -> str:
    """As `one_line`, with the text's own line breaks: at most `lines` lines, none of them empty.

    What comes after them stands in the last one.
    """
    looked_at = limit * _LOOKED_AT
    parts = [" ".join(part.split()) for part in _shown(text[:looked_at]).split("\n")]
    parts = [part for part in parts if part]
    kept = "\n".join([*parts[: lines - 1], *([" ".join(parts[lines - 1 :])] if len(parts) >= lines else [])])
    return _cut(kept, limit, more=len(text) > looked_at)


def _shown(text: str) -> str:
    text = _MARKS.sub(r"\1", _UNSHOWN.sub("", _BREAK.sub("\n", text)))
    return "".join(_character(character) for character in text)


def _character(character: str) -> str:
    if character in "\n\t":
        return character
    kind = unicodedata.category(character)
    if kind == "Cs":
        return "\ufffd"
    return "" if kind in ("Cc", "Cn") else character


def _cut(text: str, limit: int, *, more: bool) -> str:
    if len(text) <= limit and not more:
        return text
    kept = text[: limit - 1]
    if len(text) > len(kept) and not text[len(kept)].isspace():
        space = max(kept.rfind(" "), kept.rfind("\n"))
        if space >= limit * 2 // 3:  # text without spaces (Chinese, base64) is cut where it is
            kept = kept[:space]
    return kept.rstrip() + "…"
