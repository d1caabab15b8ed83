"""What a scorer is told to do, one frozen spec a type, and what it gives back.

What belongs here: specs as a suite's author means them, with every default decided. What does not: how a score is
computed (the `scorers` package), how specs are written in files (the `suites` package).
All scores are on the 1–5 scale.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Union

from evalops_core.domain.chat import Usage
from evalops_core.domain.json import Json
from evalops_core.domain.score import Outcome


@dataclass(frozen=True, slots=True)
class Axis:
    """One dimension of a rubric, 1 (worst) to 5 (best); `weight` is relative to the rubric's other axes."""

    name: str
    description: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Rubric:
    """What a judge is asked to look at: at least one axis, and instructions that go before them."""

    axes: tuple[Axis, ...]
    instructions: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spec:
    """`name` is unique in its suite; `weight` is relative to the suite's other scorers, 0 = reported, not counted."""

    name: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactSpec(_Spec):
    """5 if the answer equals the reference (any of them, if it is a list), else 1."""

    type: Literal["exact"] = "exact"
    ignore_case: bool = True
    ignore_punctuation: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainsSpec(_Spec):
    """1 + 4 × the share of the wanted strings that stand in the answer.

    Wanted are `values`, or the reference (a string, or each string of a list) where `values` is empty. `mode` any: one
    is enough for 5. `forbidden` strings each in the answer make it 1.
    """

    type: Literal["contains"] = "contains"
    values: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    mode: Literal["all", "any"] = "all"
    ignore_case: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RegexSpec(_Spec):
    """5 if the pattern is found in the answer (`full`: matches all of it), else 1; `negate` turns it round."""

    type: Literal["regex"] = "regex"
    pattern: str
    full: bool = False
    ignore_case: bool = False
    negate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonFieldsSpec(_Spec):
    """One axis a field: 5 if the answer's JSON holds what the reference object holds there, else 1.

    Numbers are equal within `numeric_tolerance` (relative). An answer that is no JSON object, or breaks `schema` (a
    JSON Schema), scores 1 on every field.
    """

    type: Literal["json_fields"] = "json_fields"
    fields: tuple[str, ...]
    numeric_tolerance: float = 0.0
    ignore_case: bool = True
    schema: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilaritySpec(_Spec):
    """1 + 4 × where the similarity to the reference lies between `floor` (1) and `ceiling` (5), clipped.

    `embedding` is the cosine of the embeddings, `chrf` the character F-score of sacrebleu; both in [0, 1] here. With
    several references the most similar one counts.
    """

    type: Literal["similarity"] = "similarity"
    metric: Literal["embedding", "chrf"] = "embedding"
    floor: float = 0.0
    ceiling: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSpec(_Spec):
    """An LLM scores each axis of the rubric; while no judge is configured the `fallback` scorers stand in for it."""

    type: Literal["judge"] = "judge"
    rubric: Rubric
    fallback: "tuple[PlainSpec, ...]" = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonSpec(_Spec):
    """A user's function by dotted path, `package.module:function`; see `evalops_core.scorers.python`."""

    type: Literal["python"] = "python"
    function: str
    arguments: Mapping[str, Json] = field(default_factory=dict[str, Json])


PlainSpec = Union[ExactSpec, ContainsSpec, RegexSpec, JsonFieldsSpec, SimilaritySpec, PythonSpec]
ScorerSpec = Union[PlainSpec, JudgeSpec]


@dataclass(frozen=True, slots=True)
class Scored:
    """What one scorer says of one axis of one response.

    `usage` and `model` (as its endpoint resolved it) are of the paid call, a judge's or an embedding model's, and set
    on its first axis alone.
    """

    axis: str
    outcome: Outcome
    rationale: str | None = None
    usage: Usage = Usage()
    model: str | None = None


def axes_of(spec: ScorerSpec) -> tuple[Axis, ...]:
    """A judge's are its rubric's, `json_fields` has a field each, any other scorer one that is named as the scorer."""
    if isinstance(spec, JudgeSpec):
        return spec.rubric.axes
    if isinstance(spec, JsonFieldsSpec):
        return tuple(Axis(name=name, description=f"the field {name}") for name in spec.fields)
    return (Axis(name=spec.name, description=(type(spec).__doc__ or "").strip()),)


def in_force(specs: Sequence[ScorerSpec], *, judge_configured: bool) -> tuple[ScorerSpec, ...]:
    """The scorers that really run: without a judge each judge's fallbacks take its place and share its weight.

    A judge without a fallback stays; whether it can run is for the caller to refuse.
    """
    chosen: list[ScorerSpec] = []
    for spec in specs:
        if judge_configured or not isinstance(spec, JudgeSpec) or not spec.fallback:
            chosen.append(spec)
        else:
            chosen.extend(_shared(spec.fallback, spec.weight))
    return tuple(chosen)


def axis_weights(specs: Sequence[ScorerSpec]) -> dict[tuple[str, str], float]:
    """(scorer, axis) → its share of the case score; shares sum to 1. ValueError where every weight is 0."""
    weights: dict[tuple[str, str], float] = {}
    for spec in specs:
        axes = axes_of(spec)
        total = sum(axis.weight for axis in axes)
        for axis in axes:
            weights[spec.name, axis.name] = spec.weight * axis.weight / total
    whole = sum(weights.values())
    if whole <= 0:
        raise ValueError("every scorer has weight 0: nothing would count")
    return {key: weight / whole for key, weight in weights.items()}


def _shared(fallback: Sequence[PlainSpec], weight: float) -> list[PlainSpec]:
    total = sum(spec.weight for spec in fallback) or 1.0
    return [replace(spec, weight=weight * spec.weight / total) for spec in fallback]
