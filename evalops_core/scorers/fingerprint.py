"""What the scorers of a planned run will be, before any model is connected.

What belongs here: the fingerprint from specs alone, so that a plan can be compared and refused before anything is
spent. What does not: the fingerprint itself (registry).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evalops_core.domain.chat import ChatReply, ChatRequest, ModelRef
from evalops_core.domain.scorer import ScorerSpec
from evalops_core.errors import PermanentError
from evalops_core.scorers.registry import build_scorers, scorers_fingerprint


def planned_fingerprint(
    specs: Sequence[ScorerSpec], *, judge_configured: bool, embedding_model: str | None, folder: Path
) -> str:
    """`scorers_fingerprint` of what `build_scorers` will give once an embedding model of this name is connected.

    ConfigError as in `build_scorers`: a function that cannot be imported, a judge that is not configured.
    """
    scorers = build_scorers(
        specs,
        judge=_Unconnected("judge") if judge_configured else None,
        embeddings=None if embedding_model is None else _Unconnected(embedding_model),
        folder=folder,
    )
    return scorers_fingerprint(scorers)


@dataclass(frozen=True)
class _Unconnected:
    """Has a model's name and refuses to be called."""

    name: str

    @property
    def ref(self) -> ModelRef:
        return ModelRef(name=self.name, base_url="unconnected")

    async def complete(self, request: ChatRequest) -> ChatReply:
        raise PermanentError(f"{self.name} is not connected")

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        raise PermanentError(f"{self.name} is not connected")
