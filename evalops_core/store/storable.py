"""Text that PostgreSQL can hold.

What belongs here: that one translation. A model may answer with anything; UTF-8 in PostgreSQL knows neither NUL nor
lone surrogates.
"""

import re
from typing import overload

_REFUSED = re.compile("[\x00\ud800-\udfff]")


@overload
def storable(text: str) -> str: ...
@overload
def storable(text: None) -> None: ...
def storable(text: str | None) -> str | None:
    """The text with U+FFFD, the replacement character, for each NUL and each lone surrogate."""
    return None if text is None else _REFUSED.sub("\ufffd", text)
