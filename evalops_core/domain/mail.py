"""A rendered e-mail, what became of sending it, and the port that mailers stand behind.

What belongs here: the mail as it is sent, byte for byte, its form as JSON, and the outcomes of one attempt. What does
not: what a mail says (`evalops_core.mail`), HTTP (`evalops_core.providers.mail`), when an attempt is repeated.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, Union, cast

from evalops_core.domain.json import Json


@dataclass(frozen=True, slots=True)
class Image:
    """A PNG inside of the mail; the HTML shows it as `<img src="cid:…">`. `alt` is what it shows, in words."""

    cid: str
    png: bytes
    alt: str


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail without its recipient. `html` and `text` each say everything; `subject` is one line."""

    subject: str
    html: str
    text: str
    images: tuple[Image, ...] = ()

    def as_json(self) -> Mapping[str, Json]:
        """What `from_json` makes the same mail of again, to the byte; images are base64."""
        images = [
            {"cid": image.cid, "png": base64.b64encode(image.png).decode("ascii"), "alt": image.alt}
            for image in self.images
        ]
        return {"subject": self.subject, "html": self.html, "text": self.text, "images": images}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Mail":
        """The mail that `as_json` wrote down. ValueError where a part is missing or of another type."""
        images = value.get("images")
        if not isinstance(images, (list, tuple)):
            raise ValueError("a stored mail needs a list of images")  # noqa: TRY004  # one error for whatever is wrong
        return cls(
            subject=_text(value, "subject"),
            html=_text(value, "html"),
            text=_text(value, "text"),
            images=tuple(_image(item) for item in cast("Sequence[object]", images)),
        )


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider has taken the mail over; `provider_id` is its name for it."""

    provider_id: str


@dataclass(frozen=True, slots=True)
class Deferred:
    """The mail was not taken over, or it is not known whether it was; the same attempt may succeed later.

    The same key makes the repetition safe. `retry_after_s` is the pause that the provider asked for, in seconds.
    """

    reason: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider will not take this mail over, however often it is asked."""

    reason: str


Outcome: TypeAlias = Union[Sent, Deferred, Refused]


class Mailer(Protocol):
    """A provider that delivers mails."""

    def send(self, mail: Mail, recipient: str, key: str) -> Outcome:
        """One attempt, bounded in time. `key` names the delivery: the same mail under the same key arrives once.

        Raises nothing for what a provider or the network does, and its reasons hold no secrets.
        """
        ...


def _image(value: object) -> Image:
    parts: Mapping[str, Any] = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    try:
        png = base64.b64decode(_text(parts, "png"), validate=True)
    except binascii.Error as error:
        raise ValueError(f"a stored image's png is no base64: {error}") from None
    return Image(_text(parts, "cid"), png, _text(parts, "alt"))


def _text(parts: Mapping[str, Any], key: str) -> str:
    value = parts.get(key)
    if not isinstance(value, str):
        raise ValueError(f"a stored mail needs a text under {key!r}")  # noqa: TRY004  # one error for whatever is wrong
    return value
