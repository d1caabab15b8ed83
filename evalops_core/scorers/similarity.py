"""How much the answer is like the reference.

What belongs here: the `similarity` scorer and its two metrics. What does not: computing embeddings (the port's
implementations).
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_never

from evalops_core.domain.chat import EmbeddingModel, Usage
from evalops_core.domain.score import LOWEST, Score, Unscored
from evalops_core.domain.scorer import Scored, SimilaritySpec
from evalops_core.errors import CallError, ConfigError
from evalops_core.scorers.call_problem import call_problem
from evalops_core.scorers.protocol import Item, one_axis
from evalops_core.scorers.references import reference_texts
from evalops_core.scorers.text import well_formed

CHRF_LIMIT = 20_000  # characters; chrF counts in Python, about 1 µs a character, while other calls wait


@dataclass(frozen=True, slots=True)
class Likeness:
    """The likeness to `each` reference, in [0, 1]; `model` and `usage` are of the call, where one was paid for it."""

    each: Sequence[float] | Unscored
    model: str | None = None
    usage: Usage = Usage()


class Metric(Protocol):
    @property
    def version(self) -> str: ...

    async def likeness(self, answer: str, references: Sequence[str]) -> Likeness: ...


@dataclass(frozen=True)
class SimilarityScorer:
    """A blank answer is a 1 without asking the metric."""

    spec: SimilaritySpec
    metric: Metric

    @property
    def version(self) -> str:
        return f"1/{self.metric.version}"

    async def score(self, item: Item) -> Sequence[Scored]:
        references = reference_texts(item.case.reference)
        if isinstance(references, Unscored):
            return one_axis(self.spec, references)
        if not all(text.strip() for text in references):
            return one_axis(self.spec, Unscored("the reference is an empty text, which nothing is like"))
        if not item.answer.strip():
            return one_axis(self.spec, Score(LOWEST), "the answer is empty")
        found = await self.metric.likeness(item.answer, references)
        return [replace(scored, model=found.model, usage=found.usage) for scored in self._scored(found.each)]

    def _scored(self, likeness: Sequence[float] | Unscored) -> Sequence[Scored]:
        if isinstance(likeness, Unscored):
            return one_axis(self.spec, likeness)
        best = max(likeness)
        share = (best - self.spec.floor) / (self.spec.ceiling - self.spec.floor)
        return one_axis(self.spec, Score(1.0 + 4.0 * min(max(share, 0.0), 1.0)), f"{self.spec.metric} {best:.3f}")


@dataclass(frozen=True)
class EmbeddingMetric:
    """Cosine of the embeddings; a negative one counts as 0."""

    embeddings: EmbeddingModel

    @property
    def version(self) -> str:
        return self.embeddings.name

    async def likeness(self, answer: str, references: Sequence[str]) -> Likeness:
        texts = [well_formed(text) for text in (answer, *references)]
        try:
            embedded = await self.embeddings.embed(texts)
        except CallError as error:
            return Likeness(Unscored(call_problem("the embedding model", error)))
        return Likeness(_cosines(embedded.vectors, len(texts)), embedded.model, embedded.usage)


@dataclass(frozen=True)
class ChrfMetric:
    """chrF2 (Popović 2015), sacrebleu's defaults: character n-grams up to 6, β = 2, case kept; NFKC here.

    Of each text the first `CHRF_LIMIT` characters count.
    """

    version: str = "chrf"

    async def likeness(self, answer: str, references: Sequence[str]) -> Likeness:
        from sacrebleu.metrics.chrf import CHRF  # a seventh of a second to import, and only suites with chrF need it

        chrf, said = CHRF(), _bounded(answer)
        scores = [chrf.sentence_score(said, [_bounded(reference)]).score / 100.0 for reference in references]
        return Likeness([min(max(score, 0.0), 1.0) for score in scores])


def similarity_scorer(spec: SimilaritySpec, embeddings: EmbeddingModel | None) -> SimilarityScorer:
    """ConfigError for a floor that is not below the ceiling, and for `embedding` without an embedding model."""
    if not spec.floor < spec.ceiling:
        raise ConfigError(f"`floor` ({spec.floor}) must be below `ceiling` ({spec.ceiling})", key=spec.name)
    if spec.metric == "chrf":
        return SimilarityScorer(spec, ChrfMetric())
    if spec.metric == "embedding":
        if embeddings is None:
            raise ConfigError(
                "embedding similarity needs an embedding model; set EVALOPS_EMBEDDING_MODEL, run "
                "`evalops model fetch` for the embedded one, or use `metric: chrf`",
                key=spec.name,
            )
        return SimilarityScorer(spec, EmbeddingMetric(embeddings))
    assert_never(spec.metric)


def _cosines(vectors: NDArray[np.float32], wanted: int) -> Sequence[float] | Unscored:
    """Of the first vector with each of the others."""
    if vectors.ndim != 2 or len(vectors) != wanted or not np.isfinite(vectors).all():
        return Unscored("the embedding model gave no usable vectors")
    cosines = vectors[1:].astype(np.float64) @ vectors[0].astype(np.float64)
    return [min(max(float(cosine), 0.0), 1.0) for cosine in cosines]


def _bounded(text: str) -> str:
    return unicodedata.normalize("NFKC", text[:CHRF_LIMIT])
