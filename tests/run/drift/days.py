"""Days of traffic for tests: traces in the database, and embeddings that are known beforehand."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime, time, timedelta, timezone

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from evalops_core.domain.chat import Embedded
from evalops_core.domain.json import Json
from evalops_core.domain.trace import Trace
from evalops_core.run.drift.sample import Embedder
from evalops_core.store.traces import Traces

FIRST = date(2026, 10, 1)
MODEL = "known"


class KnownEmbeddings:
    """An embedding model that was told the vectors of all texts; it counts the texts that it was asked for."""

    def __init__(self, vectors: Mapping[str, Sequence[float] | NDArray[np.float32]], name: str = MODEL) -> None:
        self._vectors, self._name, self.asked = vectors, name, list[str]()

    @property
    def name(self) -> str:
        return self._name

    async def embed(self, texts: Sequence[str]) -> Embedded:
        self.asked += texts
        return Embedded(np.array([self._vectors[text] for text in texts], dtype=np.float32))

    def embedder(self) -> Embedder:
        @asynccontextmanager
        async def connect(_: str) -> AsyncGenerator["KnownEmbeddings", None]:
            yield self

        return Embedder(self._name, connect)


def asked(text: str) -> list[Mapping[str, Json]]:
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]


def at(day: date, minutes: float = 0) -> datetime:
    return datetime.combine(day, time(), timezone.utc) + timedelta(minutes=minutes)


def traffic(engine: Engine, day: date, texts: Sequence[str], feature: str = "orders") -> None:
    """One answered trace a text, a minute apart."""
    Traces(engine).insert(
        [
            Trace(id=f"{feature}-{day}-{number}", feature=feature, created_at=at(day, number + 1), messages=asked(text))
            for number, text in enumerate(texts)
        ]
    )
