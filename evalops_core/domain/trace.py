"""A trace: one call of a model in production, as far as it is kept.

What belongs here: the value, and what was asked in it. What does not: the shapes in which traces arrive (traces), how
they are kept (store).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from evalops_core.domain.json import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """`messages` are in OpenAI's form, `created_at` is aware. `error` is None for a call that was answered."""

    id: str
    feature: str
    created_at: datetime
    messages: Sequence[Mapping[str, Json]]
    model: str | None = None
    error: str | None = None


def user_text(messages: Json, which: Literal["first", "last"] = "first") -> str | None:
    """What the user asked: the text of the first or the last message with the role `user`, its text parts joined by
    blanks. The last one is what was asked where example turns stand before it.

    None where the value is no list of messages, or that message has no text.
    """
    if not isinstance(messages, list):
        return None
    said = [message for message in messages if isinstance(message, dict) and message.get("role") == "user"]
    return _text(said[0 if which == "first" else -1].get("content")) if said else None


def _text(content: Json) -> str | None:
    parts = content if isinstance(content, list) else [content]
    texts = [part if isinstance(part, str) else part.get("text") for part in parts if isinstance(part, str | dict)]
    words = " ".join(text.strip() for text in texts if isinstance(text, str) and text.strip())
    return words or None
