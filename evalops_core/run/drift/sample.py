"""A day's newest traces → what was asked in each → one direction, stored once.

What belongs here: sampling and storing. What does not: geometry (domain.drift.centroid), the embedding model (wiring).
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Engine

from evalops_core.domain.chat import EmbeddingModel
from evalops_core.domain.drift.centroid import centroid
from evalops_core.domain.drift.day import DriftDay, series_name
from evalops_core.domain.suite import DriftSpec
from evalops_core.domain.trace import user_text
from evalops_core.errors import CallError
from evalops_core.store.drift import DriftDays
from evalops_core.store.traces import Traces

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LONGEST = (1_000, 200)
"""Characters of a prompt that are embedded, half of them its beginning and half its end: what it is about is said
there, and most models take no more than some hundred tokens. The fewer, where an endpoint refuses the more."""
_TOO_LONG = (400, 413, 422)  # HTTP statuses
Connect = Callable[[str], AbstractAsyncContextManager[EmbeddingModel]]


@dataclass(frozen=True, slots=True)
class Embedder:
    """The embedding model by its `name`; `connect` takes the feature that a call is paid for."""

    name: str
    connect: Connect


@dataclass(frozen=True, slots=True)
class Sampled:
    """`how` tells whether the centroid was made now, was there before, or could not be made; `all_alike` that all of
    the prompts read now are the same text, as where example turns were taken for what users ask."""

    day: DriftDay
    how: Literal["new", "stored", "insufficient"]
    all_alike: bool = False


def span(day: date) -> tuple[datetime, datetime]:
    """The UTC day's start and end."""
    start = datetime.combine(day, time(), timezone.utc)
    return start, start + timedelta(days=1)


async def sample_day(engine: Engine, feature: str, day: date, spec: DriftSpec, embedder: Embedder) -> Sampled:
    """Sample the newest traces of the day that were answered, and keep their centroid.

    A centroid that is there is kept, and nothing is embedded; a day that had too few traces gets a new look, for traces
    come late. CallError where the embedding endpoint does not answer, and nothing is stored.
    """
    series = series_name(embedder.name, spec)
    with engine.connect() as connection:
        stored = DriftDays(connection).get(feature, day, series)
        if stored is not None and stored.has_centroid:
            return Sampled(stored, "stored")
        rows = Traces(connection).newest(feature, *span(day), spec.max_sample)
    asked = {row.id: user_text(row.messages, spec.message) for row in rows}
    texts = {trace: text for trace, text in asked.items() if text is not None}
    vectors = None
    if len(texts) >= spec.min_sample:
        async with embedder.connect(feature) as model:
            vectors = await _embedded(model, list(texts.values()))
    with engine.begin() as connection:
        kept = DriftDays(connection).keep(
            feature,
            day,
            series,
            n=len(texts),
            n_malformed=len(asked) - len(texts),
            centroid=None if vectors is None else centroid(vectors),
            sample={} if vectors is None else dict(zip(texts, vectors, strict=True)),
        )
    return Sampled(kept, "new" if kept.has_centroid else "insufficient", len(set(texts.values())) == 1 < len(texts))


async def _embedded(model: EmbeddingModel, texts: Sequence[str]) -> "NDArray[np.float32]":
    """CallError without the endpoint's own words: they may quote what users wrote."""
    failed: CallError | None = None
    for longest in _LONGEST:
        try:
            return (await model.embed([_cut(text, longest) for text in texts])).vectors
        except CallError as error:
            status = f" with status {error.status}" if error.status else ""
            words = (
                f"{model.name} did not embed the day's prompts: its endpoint failed{status}, whose words are left out"
            )
            failed = type(error)(words, attempts=error.attempts, status=error.status, maybe_billed=error.maybe_billed)
            if error.status not in _TOO_LONG:
                break
    # Outside of the handler, so that the endpoint's answer is no part of it.
    raise failed or AssertionError("there is a length at least")


def _cut(text: str, longest: int) -> str:
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]} … {text[-half:]}"
