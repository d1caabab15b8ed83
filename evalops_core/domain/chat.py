"""What is said to a model and what comes back, and the ports that models and embedders stand behind.

What belongs here: the values of one call. What does not: HTTP, retries and prices (providers), prompts of a suite
(suite).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from evalops_core.domain.json import Json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class ModelRef:
    """An endpoint's model, fully decided: where, which, and how it is asked.

    `base_url` ends in the API root (`https://api.openai.com/v1`); the embedded model's is the word `embedded`.
    `parameters` go into the request body as they are (`temperature`, `max_tokens`, `seed`, …).
    `api_key_env` names the environment variable with the key; the key itself is never part of a value that is stored.
    """

    name: str
    base_url: str
    parameters: Mapping[str, Json] = field(default_factory=dict[str, Json])
    api_key_env: str | None = None


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One completion to ask for. `json_schema`, if given, is asked for as structured output where that is supported."""

    messages: Sequence[Message]
    parameters: Mapping[str, Json] = field(default_factory=dict[str, Json])
    json_schema: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the endpoint counted them; None where it did not say."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            _plus(self.prompt_tokens, other.prompt_tokens), _plus(self.completion_tokens, other.completion_tokens)
        )


@dataclass(frozen=True, slots=True)
class ChatReply:
    """`model` is the id the endpoint resolved the asked-for name to; `latency_s` is of the successful attempt alone."""

    text: str
    model: str
    finish_reason: str | None
    usage: Usage
    latency_s: float
    attempts: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """`vectors` has the shape (texts, dimensions), rows of unit length, in the order of the texts.

    `model` is the id the endpoint resolved the asked-for name to, None where nobody is paid for the call.
    """

    vectors: "NDArray[np.float32]"
    model: str | None = None
    usage: Usage = Usage()


class ChatModel(Protocol):
    """A model that completes chats, its own retries included."""

    @property
    def ref(self) -> ModelRef: ...

    async def complete(self, request: ChatRequest) -> ChatReply:
        """The reply, or TransientError / PermanentError once retrying makes no more sense."""
        ...


class EmbeddingModel(Protocol):
    """A model that maps texts to vectors."""

    @property
    def name(self) -> str: ...

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """A vector for each text, or TransientError / PermanentError once retrying makes no more sense."""
        ...


def _plus(a: int | None, b: int | None) -> int | None:
    return a if b is None else b if a is None else a + b
