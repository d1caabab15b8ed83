"""The embedding client for OpenAI-compatible endpoints.

What belongs here: requests, batches, order and unit length. What does not: HTTP and retries (http, retry), what a
similarity means (scorers), who pays for a request (run.metered, which stands between a client and its batches).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import numpy as np
from numpy.typing import NDArray
from pydantic import SecretStr

from evalops_core.domain.chat import Embedded, EmbeddingModel, Usage
from evalops_core.errors import PermanentError
from evalops_core.providers.foreign import count, mapping, string
from evalops_core.providers.http import Endpoint
from evalops_core.providers.pace import Allowance, Pace
from evalops_core.providers.retry import BeforeRetry, CallPolicy

_BATCH = 256  # texts a request: within the limits of every endpoint we know of


class EmbeddingClient:
    """An `EmbeddingModel` on `POST {base_url}/embeddings`, all texts in one request; `session` as for `ChatClient`."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        name: str,
        base_url: str,
        api_key: SecretStr | None,
        policy: CallPolicy,
        *,
        pace: Pace | None = None,
        allowance: Allowance | None = None,
    ) -> None:
        self._name = name
        self._endpoint = Endpoint(session, base_url, "embeddings", api_key, policy, pace, allowance)

    @property
    def name(self) -> str:
        return self._name

    async def embed(self, texts: Sequence[str], *, before_retry: BeforeRetry | None = None) -> Embedded:
        """See `EmbeddingModel`; `before_retry`: see `with_retries`.

        An empty text is embedded as a space, since endpoints refuse it and an empty answer still has a similarity.
        """
        asked = {"model": self._name, "input": [text or " " for text in texts]}
        body = (await self._endpoint.post(asked, before_retry=before_retry)).body
        prompt_tokens = count(mapping(body.get("usage")).get("prompt_tokens"))
        return Embedded(self._vectors(body, len(texts)), string(body.get("model")) or self._name, _usage(prompt_tokens))

    def _vectors(self, body: Any, wanted: int) -> NDArray[np.float32]:
        try:
            rows = np.asarray(_in_order(body["data"], wanted), dtype=np.float32)
        except (KeyError, TypeError, ValueError):
            raise self._unusable(f"did not answer with {wanted} vectors of one length") from None
        norms = np.linalg.norm(rows, axis=-1, keepdims=True)
        if rows.ndim != 2 or not np.all(np.isfinite(norms)) or not np.all(norms > 0):
            raise self._unusable("answered a vector that has no direction (empty, zero or not finite)")
        return rows / norms

    def _unusable(self, words: str) -> PermanentError:
        return self._endpoint.error(words, status=200, maybe_billed=True)


@dataclass(frozen=True)
class InBatches:
    """`model`, asked for any number of texts, by requests of a size that every endpoint takes."""

    model: EmbeddingModel

    @property
    def name(self) -> str:
        return self.model.name

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """See `EmbeddingModel`; shape (0, 0) for no texts. TransientError or PermanentError if one batch fails."""
        batches = [await self.model.embed(texts[at : at + _BATCH]) for at in range(0, len(texts), _BATCH)]
        if not batches:
            return Embedded(np.zeros((0, 0), dtype=np.float32))
        if len({batch.vectors.shape[1] for batch in batches}) > 1:
            raise PermanentError(f"{self.name} answered vectors of different lengths")
        counts = [batch.usage.prompt_tokens for batch in batches]
        known = [tokens for tokens in counts if tokens is not None]
        return Embedded(
            np.concatenate([batch.vectors for batch in batches]),
            batches[-1].model,
            _usage(sum(known) if len(known) == len(counts) else None),
        )


def _usage(prompt_tokens: int | None) -> Usage:
    """That there is no completion is known, whatever the endpoint says."""
    return Usage(prompt_tokens, 0)


def _in_order(data: list[dict[str, Any]], wanted: int) -> list[list[float]]:
    """The vectors by their `index`. ValueError unless each of 0 … wanted − 1 is there exactly once."""
    found = {int(item.get("index", at)): item["embedding"] for at, item in enumerate(data)}
    if len(data) != wanted or sorted(found) != list(range(wanted)):
        raise ValueError("indexes missing or doubled")
    return [found[at] for at in range(wanted)]
