"""The scorers of a suite as they are written in `suite.yaml`, one strict model a type, each giving its domain spec.

What belongs here: keys, defaults and what can be refused by looking at a scorer alone. What does not: how a score is
computed (the `scorers` package), what a scorer needs of the cases (checks).
"""

import re
from abc import abstractmethod
from typing import Annotated, Any, Literal, Union, cast

import regex
from pydantic import AfterValidator, Field, JsonValue, model_validator

from evalops_core.domain.scorer import (
    Axis,
    ContainsSpec,
    ExactSpec,
    JsonFieldsSpec,
    JudgeSpec,
    PlainSpec,
    PythonSpec,
    RegexSpec,
    Rubric,
    ScorerSpec,
    SimilaritySpec,
)
from evalops_core.suites.file_model import FileModel, Name, Text, Weight, first_duplicate, refuse
from evalops_core.suites.json_schemas import checked_schema


class ScorerFile(FileModel):
    """What every scorer has; `type` is in each model, because it tells them apart."""

    name: Name | None = Field(default=None, description="Its name in results, unique in the suite; the type if absent.")
    weight: Weight = Field(
        default=1.0, description="Its weight relative to the suite's other scorers; 0 reports it without counting it."
    )

    @property
    def known_as(self) -> str:
        return self.name or str(self.model_dump(include={"type"})["type"])

    @abstractmethod
    def spec(self) -> ScorerSpec:
        """The same, decided."""


class ExactFile(ScorerFile):
    """5 if the answer equals the reference (one of them, if it is a list), else 1."""

    type: Literal["exact"]
    ignore_case: bool = Field(default=True, description="Whether `Paris` equals `paris`.")
    ignore_punctuation: bool = Field(default=True, description="Whether `Paris.` equals `Paris`.")

    def spec(self) -> PlainSpec:
        return ExactSpec(
            name=self.known_as,
            weight=self.weight,
            ignore_case=self.ignore_case,
            ignore_punctuation=self.ignore_punctuation,
        )


class ContainsFile(ScorerFile):
    """1 + 4 × the share of the wanted strings that stand in the answer."""

    type: Literal["contains"]
    values: list[Text] = Field(default=[], description="The wanted strings; the case's reference if there are none.")
    forbidden: list[Text] = Field(default=[], description="Strings each of which makes the score 1.")
    mode: Literal["all", "any"] = Field(default="all", description="`any`: one wanted string is enough for 5.")
    ignore_case: bool = Field(default=True, description="Whether case makes no difference.")

    def spec(self) -> PlainSpec:
        return ContainsSpec(
            name=self.known_as,
            weight=self.weight,
            values=tuple(self.values),
            forbidden=tuple(self.forbidden),
            mode=self.mode,
            ignore_case=self.ignore_case,
        )


def _pattern(value: str) -> str:
    try:
        regex.compile(value)
    except (regex.error, OverflowError, RecursionError) as error:
        raise ValueError(f"not a valid regular expression: {error}") from None
    return value


class RegexFile(ScorerFile):
    """5 if the pattern is found in the answer, else 1."""

    type: Literal["regex"]
    pattern: Annotated[Text, AfterValidator(_pattern)] = Field(
        description="A regular expression, as Python's `re` and `regex` read it."
    )
    full: bool = Field(default=False, description="Whether it must match the whole answer.")
    ignore_case: bool = Field(default=False, description="Whether case makes no difference.")
    negate: bool = Field(default=False, description="Whether finding it is the bad outcome.")

    def spec(self) -> PlainSpec:
        return RegexSpec(
            name=self.known_as,
            weight=self.weight,
            pattern=self.pattern,
            full=self.full,
            ignore_case=self.ignore_case,
            negate=self.negate,
        )


class JsonFieldsFile(ScorerFile):
    """One axis a field: 5 if the answer's JSON object holds there what the reference holds, else 1."""

    type: Literal["json_fields"]
    fields: list[Text] = Field(
        min_length=1, description="The keys to compare, dotted within (`address.city`); each is an axis."
    )
    numeric_tolerance: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="Relative tolerance within which numbers are equal."
    )
    ignore_case: bool = Field(default=True, description="Whether case makes no difference in strings.")
    schema_: Annotated[dict[str, JsonValue], AfterValidator(checked_schema)] | None = Field(
        default=None, alias="schema", description="JSON Schema that the answer must satisfy to score above 1."
    )

    @model_validator(mode="after")
    def _distinct(self) -> "JsonFieldsFile":
        if pair := first_duplicate(self.fields):
            raise refuse(f"the field {self.fields[pair[1]]} is listed twice; list it once", "fields", pair[1])
        return self

    def spec(self) -> PlainSpec:
        return JsonFieldsSpec(
            name=self.known_as,
            weight=self.weight,
            fields=tuple(self.fields),
            numeric_tolerance=self.numeric_tolerance,
            ignore_case=self.ignore_case,
            schema=self.schema_,
        )


class SimilarityFile(ScorerFile):
    """1 + 4 × where the similarity to the reference lies between `floor` and `ceiling`."""

    type: Literal["similarity"]
    metric: Literal["embedding", "chrf"] = Field(
        default="embedding", description="Cosine of the embeddings, or the character F-score of sacrebleu."
    )
    floor: float = Field(default=0.0, ge=0, le=1, description="The similarity that scores 1.")
    ceiling: float = Field(default=1.0, ge=0, le=1, description="The similarity that scores 5.")

    @model_validator(mode="after")
    def _ordered(self) -> "SimilarityFile":
        if self.floor >= self.ceiling:
            raise refuse(f"must lie below the ceiling, {self.ceiling:g}, and is {self.floor:g}", "floor")
        return self

    def spec(self) -> PlainSpec:
        return SimilaritySpec(
            name=self.known_as, weight=self.weight, metric=self.metric, floor=self.floor, ceiling=self.ceiling
        )


_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def _function(value: str) -> str:
    if not _FUNCTION.fullmatch(value):
        raise ValueError(f"a function is written package.module:function; not {value[:80]!r}")
    return value


class PythonFile(ScorerFile):
    """A function of your own."""

    type: Literal["python"]
    function: Annotated[Text, AfterValidator(_function)] = Field(description="Where it is: `package.module:function`.")
    arguments: dict[str, JsonValue] = Field(default={}, description="Keyword arguments that it always gets.")

    def spec(self) -> PlainSpec:
        return PythonSpec(
            name=self.known_as,
            weight=self.weight,
            function=self.function,
            arguments=cast("dict[str, Any]", self.arguments),
        )


class AxisFile(FileModel):
    """One dimension that the judge scores from 1 to 5."""

    name: Name = Field(description="Its name in results, unique in the rubric.")
    description: Text = Field(description="What a 5 means and what a 1 means, for the judge.")
    weight: Weight = Field(default=1.0, description="Its weight relative to the rubric's other axes.")


class RubricFile(FileModel):
    """What a judge looks at."""

    instructions: str = Field(default="", description="What goes before the axes: the task, and what to be strict on.")
    axes: list[AxisFile] = Field(min_length=1, description="At least one dimension.")

    @model_validator(mode="after")
    def _usable(self) -> "RubricFile":
        if pair := first_duplicate(axis.name for axis in self.axes):
            name = self.axes[pair[1]].name
            raise refuse(f"the name {name} is taken by axes[{pair[0]}]; choose another", "axes", pair[1], "name")
        if not any(axis.weight for axis in self.axes):
            raise refuse("every axis has weight 0, so nothing would count; give one a weight above 0", "axes")
        return self


PlainFile = Annotated[
    Union[ExactFile, ContainsFile, RegexFile, JsonFieldsFile, SimilarityFile, PythonFile],
    Field(discriminator="type"),
]


class JudgeFile(ScorerFile):
    """A language model scores each axis of the rubric."""

    type: Literal["judge"]
    rubric: RubricFile = Field(description="What it looks at.")
    fallback: list[PlainFile] = Field(
        default=[], description="Scorers that share its weight while no judge model is configured."
    )

    @model_validator(mode="after")
    def _usable(self) -> "JudgeFile":
        if self.fallback and not any(scorer.weight for scorer in self.fallback):
            raise refuse("every fallback has weight 0, so nothing would count; give one a weight above 0", "fallback")
        return self

    def spec(self) -> ScorerSpec:
        axes = tuple(Axis(axis.name, axis.description, axis.weight) for axis in self.rubric.axes)
        return JudgeSpec(
            name=self.known_as,
            weight=self.weight,
            rubric=Rubric(axes, self.rubric.instructions),
            fallback=tuple(scorer.spec() for scorer in self.fallback),
        )


AnyScorerFile = Annotated[
    Union[ExactFile, ContainsFile, RegexFile, JsonFieldsFile, SimilarityFile, PythonFile, JudgeFile],
    Field(discriminator="type"),
]
