"""From specs to scorers.

What belongs here: which class carries out which spec, and what of all of them two runs must share. What does not:
scoring.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from typing_extensions import assert_never

from evalops_core.domain.chat import ChatModel, EmbeddingModel
from evalops_core.domain.json import content_hash
from evalops_core.domain.scorer import (
    ContainsSpec,
    ExactSpec,
    JsonFieldsSpec,
    JudgeSpec,
    PythonSpec,
    RegexSpec,
    ScorerSpec,
    SimilaritySpec,
    in_force,
)
from evalops_core.errors import ConfigError
from evalops_core.scorers.contains import ContainsScorer
from evalops_core.scorers.exact import ExactScorer
from evalops_core.scorers.judge import JudgeScorer
from evalops_core.scorers.protocol import Scorer
from evalops_core.scorers.regex import regex_scorer


def build_scorers(
    specs: Sequence[ScorerSpec], *, judge: ChatModel | None, embeddings: EmbeddingModel | None, folder: Path
) -> tuple[Scorer, ...]:
    """A scorer for each spec that is `in_force`, in order. `folder` is the suite's, for functions of its own.

    ConfigError, with the scorer's name as its key, where one cannot be built.
    """
    specs = in_force(specs, judge_configured=judge is not None)
    for name, count in Counter(spec.name for spec in specs).items():
        if count > 1:
            raise ConfigError(f"{count} scorers have this name; give each its own", key=name)
    return tuple(_build(spec, judge, embeddings, folder) for spec in specs)


def scorers_fingerprint(scorers: Sequence[Scorer]) -> str:
    """Content hash of every spec and version, whatever their order.

    A judge's fallbacks are left out: where the judge runs they change nothing.
    """
    parts = sorted(scorers, key=lambda scorer: scorer.spec.name)
    return content_hash([[asdict(_without_fallback(part.spec)), part.version] for part in parts])


def _build(spec: ScorerSpec, judge: ChatModel | None, embeddings: EmbeddingModel | None, folder: Path) -> Scorer:
    match spec:
        case ExactSpec():
            return ExactScorer(spec)
        case ContainsSpec():
            return ContainsScorer(spec)
        case RegexSpec():
            return regex_scorer(spec)
        case JsonFieldsSpec():  # these three bring libraries that few suites need
            from evalops_core.scorers.json_fields import json_fields_scorer

            return json_fields_scorer(spec)
        case SimilaritySpec():
            from evalops_core.scorers.similarity import similarity_scorer

            return similarity_scorer(spec, embeddings)
        case PythonSpec():
            from evalops_core.scorers.python import python_scorer

            return python_scorer(spec, folder)
        case JudgeSpec():
            return _judge(spec, judge)
        case _:
            assert_never(spec)


def _judge(spec: JudgeSpec, judge: ChatModel | None) -> Scorer:
    if judge is None:
        raise ConfigError(
            "no judge model is configured; set EVALOPS_JUDGE_MODEL or give the scorer a `fallback`", key=spec.name
        )
    return JudgeScorer(spec, judge)


def _without_fallback(spec: ScorerSpec) -> ScorerSpec:
    return replace(spec, fallback=()) if isinstance(spec, JudgeSpec) else spec
