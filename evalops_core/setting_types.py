"""The types of settings that are more than a word or a number.

What belongs here: their parts and bounds. What does not: which settings there are (settings).
"""

import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

EMBEDDED = "embedded"
MODEL_KEYS = ("EVALOPS_MODEL_API_KEY", "EVALOPS_JUDGE_API_KEY", "EVALOPS_EMBEDDING_API_KEY")
GateScope = Literal["all", "feature"]
_ADDRESS = re.compile(r"[^@\s,<>]+@[^@\s,<>]+\.[^@\s,<>]+|[^@\s,<>]+@localhost")


def mail_address(value: str) -> str:
    """The value. ValueError unless it is a plain mail address."""
    if not _ADDRESS.fullmatch(value):
        raise ValueError(f"expected a mail address like team@example.com, not {value[:80]!r}")
    return value


class ModelPrice(BaseModel):
    """US dollars per million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_per_mtok: Decimal = Field(ge=0)
    output_per_mtok: Decimal = Field(ge=0)


class RateLimit(BaseModel):
    """What an endpoint may be asked for one model; None for any number."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)


def _without_credentials(value: str) -> str:
    if "@" in value:
        raise ValueError("expected an address without credentials; a key has a variable of its own")
    return value


def _of_a_request(value: dict[str, Any]) -> dict[str, Any]:
    for name in ("api_key", "model", "messages", "stream"):
        if name in value:
            raise ValueError(f"{name!r} does not belong here")
    return value


PublicUrl = Annotated[str, AfterValidator(_without_credentials)]
"""Addresses are stored with runs, shown and put into links, so no password may stand in one."""

RequestParameters = Annotated[dict[str, Any], AfterValidator(_of_a_request)]
"""They are stored with every run, so a key must not get in; the others are decided elsewhere."""
