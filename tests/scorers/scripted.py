"""Models that say what they are told to, and short ways to build items."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evalops_core.domain.chat import (
    ChatModel,
    ChatReply,
    ChatRequest,
    Embedded,
    EmbeddingModel,
    Message,
    ModelRef,
    Usage,
)
from evalops_core.domain.json import Json
from evalops_core.domain.score import Outcome, Score, Unscored
from evalops_core.domain.scorer import Scored, ScorerSpec
from evalops_core.domain.suite import Case
from evalops_core.scorers.protocol import Item
from evalops_core.scorers.registry import build_scorers

NOWHERE = Path("no-such-folder")


class ScriptedJudge:
    """Gives the replies in order, a string as a reply of 10 + 1 tokens; keeps every request."""

    def __init__(self, *replies: str | ChatReply | Exception, parameters: Mapping[str, Json] | None = None) -> None:
        self._replies = list(replies)
        self._ref = ModelRef("judge", "http://judge.invalid/v1", parameters or {})
        self.requests: list[ChatRequest] = []

    @property
    def ref(self) -> ModelRef:
        return self._ref

    async def complete(self, request: ChatRequest) -> ChatReply:
        self.requests.append(request)
        reply = self._replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, ChatReply) else reply_of(reply)


class ScriptedEmbeddings:
    """Vectors by a function of the text, scaled to unit length."""

    def __init__(self, vector: Callable[[str], Sequence[float]], name: str = "letters") -> None:
        self._vector, self._name = vector, name
        self.asked: list[Sequence[str]] = []

    @property
    def name(self) -> str:
        return self._name

    async def embed(self, texts: Sequence[str]) -> Embedded:
        self.asked.append(texts)
        rows = np.array([self._vector(text) for text in texts], dtype=np.float64)
        vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        return Embedded(vectors, f"{self._name}-2026-01-01", Usage(10 * len(texts), 0))


class BrokenEmbeddings:
    """Raises, or returns what it is given, for 7 tokens."""

    name = "broken"

    def __init__(self, result: Exception | NDArray[np.float32]) -> None:
        self._result = result

    async def embed(self, texts: Sequence[str]) -> Embedded:
        if isinstance(self._result, Exception):
            raise self._result
        return Embedded(self._result, self.name, Usage(7, 0))


def letters(text: str) -> list[float]:
    """How often each of a few letters stands in the text, signed so that cosines may be negative."""
    return [1e-3, *(float(text.count(letter)) - 0.5 for letter in "aeiou ")]


def reply_of(text: str, *, model: str = "judge-2026-01-01", finish_reason: str = "stop") -> ChatReply:
    return ChatReply(text, model, finish_reason, Usage(10, 1), latency_s=0.0)


def item_of(answer: str, reference: Json = None, prompt: str = "Say it.") -> Item:
    return Item(Case(id="c1", fields={"input": "x"}, reference=reference), [Message("user", prompt)], answer)


def score(
    spec: ScorerSpec,
    item: Item,
    *,
    judge: ChatModel | None = None,
    embeddings: EmbeddingModel | None = None,
    folder: Path = NOWHERE,
) -> Sequence[Scored]:
    """What the one scorer that the registry builds for `spec` says of `item`."""
    (scorer,) = build_scorers([spec], judge=judge, embeddings=embeddings, folder=folder)

    async def scored() -> Sequence[Scored]:
        return await scorer.score(item)

    return asyncio.run(scored())


def one(spec: ScorerSpec, answer: str, reference: Json = None, **models: EmbeddingModel) -> Outcome:
    """The outcome of a scorer with one axis."""
    (scored,) = score(spec, item_of(answer, reference), embeddings=models.get("embeddings"))
    assert scored.axis == spec.name
    return scored.outcome


def value(outcome: Outcome) -> float:
    assert isinstance(outcome, Score), outcome
    return outcome.value


def reason(outcome: Outcome) -> str:
    assert isinstance(outcome, Unscored), outcome
    return outcome.reason
