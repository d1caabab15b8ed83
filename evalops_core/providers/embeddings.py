"""The embedding client for OpenAI-compatible endpoints.

What belongs here: batches, order and unit length. What does not: HTTP and retries (http, retry), what a similarity
means (scorers).
"""

from collections.abc import Sequence
from typing import Any

import aiohttp
import numpy as np
from numpy.typing import NDArray
from pydantic import SecretStr

from evalops_core.providers.http import Endpoint
from evalops_core.providers.retry import CallPolicy

_BATCH = 256  # texts a request: within the limits of every endpoint we know of


class EmbeddingClient:
    """An `EmbeddingModel` on `POST {base_url}/embeddings`; `session` as for `ChatClient`."""

    def __init__(
        self, session: aiohttp.ClientSession, name: str, base_url: str, api_key: SecretStr | None, policy: CallPolicy
    ) -> None:
        self._name = name
        self._endpoint = Endpoint(session, base_url, "embeddings", api_key, policy)

    @property
    def name(self) -> str:
        return self._name

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `EmbeddingModel`; shape (0, 0) for no texts. TransientError or PermanentError if one batch fails.

        An empty text is embedded as a space, since endpoints refuse it and an empty answer still has a similarity.
        """
        batches = [await self._batch(texts[at : at + _BATCH]) for at in range(0, len(texts), _BATCH)]
        if not batches:
            return np.zeros((0, 0), dtype=np.float32)
        if len({batch.shape[1] for batch in batches}) > 1:
            raise self._endpoint.error("answered vectors of different lengths")
        return np.concatenate(batches)

    async def _batch(self, texts: Sequence[str]) -> NDArray[np.float32]:
        answer = await self._endpoint.post({"model": self._name, "input": [text or " " for text in texts]})
        try:
            rows = np.asarray(_in_order(answer.body["data"], len(texts)), dtype=np.float32)
        except (KeyError, TypeError, ValueError):
            raise self._endpoint.error(f"did not answer with {len(texts)} vectors of one length", status=200) from None
        norms = np.linalg.norm(rows, axis=-1, keepdims=True)
        if rows.ndim != 2 or not np.all(np.isfinite(norms)) or not np.all(norms > 0):
            raise self._endpoint.error("answered a vector that has no direction (empty, zero or not finite)")
        return rows / norms


def _in_order(data: list[dict[str, Any]], count: int) -> list[list[float]]:
    """The vectors by their `index`. ValueError unless each of 0 … count − 1 is there exactly once."""
    found = {int(item.get("index", at)): item["embedding"] for at, item in enumerate(data)}
    if len(data) != count or sorted(found) != list(range(count)):
        raise ValueError("indexes missing or doubled")
    return [found[at] for at in range(count)]
