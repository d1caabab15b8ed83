"""Field by field: does the answer's JSON hold what the reference holds?

What belongs here: the `json_fields` scorer and when two JSON values are equal. What does not: finding the JSON in the
answer (json_reader).
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from jsonschema import Draft202012Validator, SchemaError, ValidationError, validators
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.exceptions import Unresolvable

from evalops_core.domain.json import Json, canonical
from evalops_core.domain.score import Outcome, Unscored
from evalops_core.domain.scorer import JsonFieldsSpec, Scored
from evalops_core.errors import ConfigError
from evalops_core.scorers.json_reader import find_object, read_object
from evalops_core.scorers.patterns import compile_pattern
from evalops_core.scorers.protocol import Item, pass_or_fail
from evalops_core.scorers.text import comparable, excerpt

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class _Missing:
    """Stands for a field that is not there; JSON's null is a value."""


_MISSING = _Missing()


@dataclass(frozen=True)
class JsonFieldsScorer:
    """A field is a key or a dotted path (`address.city`, `items.0.price`; a key that has the dots itself goes first).

    Texts are equal after NFKC and trimming, case folded if it is ignored; a number is equal to its spelling in a text
    where the other side is a number; lists in order; objects key by key; null only to null. A field that the reference
    lacks is Unscored.
    """

    spec: JsonFieldsSpec
    validator: Validator | None
    version: str = field(default="1", init=False)

    async def score(self, item: Item) -> Sequence[Scored]:
        reference = _as_object(item.case.reference)
        if reference is None:
            unscored = Unscored("the reference is not a JSON object, so there are no fields to compare")
            return [Scored(name, unscored) for name in self.spec.fields]
        answer = find_object(item.answer)
        problem = "the answer holds no JSON object" if answer is None else self._breach(answer)
        return [Scored(name, *self._field(name, reference, answer, problem)) for name in self.spec.fields]

    def _field(
        self,
        name: str,
        reference: Mapping[str, Json],
        answer: Mapping[str, Json] | None,
        problem: str | Unscored | None,
    ) -> tuple[Outcome, str | None]:
        wanted = _look_up(reference, name)
        if isinstance(wanted, _Missing):
            return Unscored(f"the reference has no field {name}"), None
        if isinstance(problem, Unscored):
            return problem, None
        if problem or answer is None:
            return pass_or_fail(passed=False), problem
        found = _look_up(answer, name)
        if isinstance(found, _Missing):
            return pass_or_fail(passed=False), f"the field is missing, expected {_spelled(wanted)}"
        if self._equal(wanted, found):
            return pass_or_fail(passed=True), None
        return pass_or_fail(passed=False), f"expected {_spelled(wanted)}, found {_spelled(found)}"

    def _breach(self, answer: Mapping[str, Json]) -> str | Unscored | None:
        """How the answer breaks the schema, in words; None where it does not; Unscored where nobody can tell."""
        if self.validator is None:
            return None
        try:
            breach = next(self.validator.iter_errors(answer), None)
        except (Unresolvable, ValueError, RecursionError, TimeoutError, ArithmeticError, re.error) as error:
            problem = excerpt(str(error)) or type(error).__name__
            return Unscored(f"the answer cannot be checked against the schema: {problem}")
        return None if breach is None else excerpt(f"breaks the schema at {breach.json_path}: {breach.message}", 300)

    def _equal(self, wanted: Json, found: Json) -> bool:
        try:
            return _equal(wanted, found, self.spec)
        except RecursionError:
            return False


def json_fields_scorer(spec: JsonFieldsSpec) -> JsonFieldsScorer:
    """ConfigError where `schema` is no JSON Schema. References to other documents are not fetched."""
    if spec.schema is None:
        return JsonFieldsScorer(spec, None)
    try:
        _Validator.check_schema(dict(spec.schema))
    except SchemaError as error:
        raise ConfigError(
            f"`schema` is not a JSON Schema: at {error.json_path}: {excerpt(error.message)}", key=spec.name
        ) from None
    return JsonFieldsScorer(spec, _Validator(dict(spec.schema), registry=_NO_OTHER_DOCUMENTS))


def _pattern(validator: Any, pattern: str, instance: object, schema: Any) -> Iterator[ValidationError]:
    del validator, schema
    if isinstance(instance, str) and not compile_pattern(pattern).found(instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


# `pattern` is the one keyword that a model's answer could make run for ever, so it gets our time limit.
_Validator: Any = cast("Any", validators).extend(Draft202012Validator, {"pattern": _pattern})  # its stub is untyped
_NO_OTHER_DOCUMENTS: Registry[Any] = Registry[Any]()  # jsonschema's own default would fetch them


def _as_object(reference: Json) -> Mapping[str, Json] | None:
    if isinstance(reference, str):
        return read_object(reference)
    return reference if isinstance(reference, Mapping) else None


def _look_up(value: Json, path: str) -> "Json | _Missing":
    if isinstance(value, Mapping) and path in value:
        return value[path]
    head, dot, rest = path.partition(".")
    if isinstance(value, Mapping) and dot and head in value:
        return _look_up(value[head], rest)
    if isinstance(value, Sequence) and not isinstance(value, str) and head.isdecimal() and int(head) < len(value):
        return _look_up(value[int(head)], rest) if dot else value[int(head)]
    return _MISSING


def _equal(wanted: Json, found: Json, spec: JsonFieldsSpec) -> bool:
    if isinstance(wanted, bool) or isinstance(found, bool) or wanted is None or found is None:
        return wanted is found
    if isinstance(wanted, str) and isinstance(found, str):
        plain, said = (comparable(text, ignore_case=spec.ignore_case) for text in (wanted, found))
        return plain == said
    if isinstance(wanted, int | float | str) and isinstance(found, int | float | str):
        return _numbers_equal(wanted, found, spec.numeric_tolerance)
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return wanted.keys() == found.keys() and all(_equal(wanted[key], found[key], spec) for key in wanted)
    if isinstance(wanted, Mapping) or isinstance(found, Mapping) or isinstance(wanted, int | float | str):
        return False
    if isinstance(found, int | float | str):
        return False
    return len(wanted) == len(found) and all(_equal(w, f, spec) for w, f in zip(wanted, found, strict=True))


def _numbers_equal(wanted: float | str, found: float | str, tolerance: float) -> bool:
    """|wanted − found| ≤ tolerance × |wanted|; never where one is no finite number."""
    pair = _number(wanted), _number(found)
    if pair[0] is None or pair[1] is None:
        return False
    if pair[0] == pair[1]:
        return True
    try:
        return math.fabs(pair[0] - pair[1]) <= tolerance * math.fabs(pair[0]) * (1 + 1e-12)  # rounding at the border
    except OverflowError:
        return False


def _number(value: float | str) -> float | None:
    """The number, as an int where it is one; None where it is none, or infinite."""
    try:
        if isinstance(value, str):
            text = value.strip()
            if not _NUMBER.fullmatch(text):
                return None
            value = int(text) if text.lstrip("+-").isdecimal() else float(text)
        return value if isinstance(value, int) or math.isfinite(value) else None
    except ValueError:  # more digits than Python is willing to read
        return None


def _spelled(value: Json) -> str:
    try:
        return excerpt(canonical(cast("Any", value)), 80)
    except (ValueError, RecursionError):  # NaN, or nested too deep
        return "a value that JSON cannot spell"
