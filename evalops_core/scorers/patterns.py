"""Regular expressions that cannot hang a run: every search has a time limit.

What belongs here: the typed door to the `regex` package, whose matcher, other than `re`, takes a time-out and lets
go of the GIL. What does not: what a match is worth (the scorers).
"""

from collections.abc import Callable
from typing import Any

import regex

LIMIT_S = 1.0


class Pattern:
    """A compiled pattern, see `compile_pattern`."""

    def __init__(self, compiled: Any) -> None:  # Any: the package ships no types
        self._compiled = compiled

    def found(self, text: str) -> bool:
        """Whether it is found anywhere in `text`. TimeoutError after `LIMIT_S` seconds."""
        return self._compiled.search(text, timeout=LIMIT_S, concurrent=True) is not None

    def matches(self, text: str) -> bool:
        """Whether it matches all of `text`. TimeoutError after `LIMIT_S` seconds."""
        return self._compiled.fullmatch(text, timeout=LIMIT_S, concurrent=True) is not None

    def replace(self, replacement: Callable[[str | None], str], text: str) -> str:
        """Every match replaced by what `replacement` makes of the match's first group. For patterns of our own."""

        def replaced(match: Any) -> str:
            return replacement(match[1])

        return str(self._compiled.sub(replaced, text))


def compile_pattern(pattern: str, *, ignore_case: bool = False) -> Pattern:
    """ValueError, with the position, where `pattern` is no regular expression."""
    try:
        return Pattern(regex.compile(pattern, regex.IGNORECASE if ignore_case else 0))
    except (regex.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from None
