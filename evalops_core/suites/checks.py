"""What a suite and its cases demand of each other, proved on every case before anything is spent.

What belongs here: prompts against fields, scorers against references. What does not: what can be seen in one file
alone (files, cases).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from typing_extensions import assert_never

from evalops_core.domain.json import Json
from evalops_core.domain.scorer import (
    ContainsSpec,
    ExactSpec,
    JsonFieldsSpec,
    JudgeSpec,
    PythonSpec,
    RegexSpec,
    ScorerSpec,
    SimilaritySpec,
)
from evalops_core.domain.suite import Suite
from evalops_core.errors import ConfigError
from evalops_core.suites.cases import PlacedCase
from evalops_core.suites.render import PromptError, PromptRenderer
from evalops_core.suites.yaml_document import Document


def check_prompt(suite: Suite, placed: Sequence[PlacedCase], document: Document, file: Path, cases: Path) -> None:
    """Renders every case. ConfigError at the template's line in `file`, naming the case that it fails for."""
    try:
        renderer = PromptRenderer(suite)
    except PromptError as error:
        raise _placed(error, document, file, "") from None
    for item in placed:
        try:
            renderer.render(item.case)
        except PromptError as error:
            raise _placed(error, document, file, f"case {item.case.id!r} ({cases.name} line {item.line}): ") from None


def _placed(error: PromptError, document: Document, file: Path, case: str) -> ConfigError:
    keys = ("prompt",) if error.message is None else ("prompt", error.message, "content")
    line = document.text_line(keys, error.template_line)
    return ConfigError(f"{case}{error.problem}", file=file, line=line, key=error.key)


def check_references(scorers: Sequence[ScorerSpec], placed: Sequence[PlacedCase], cases: Path) -> None:
    """ConfigError for the first case whose reference a scorer, or a judge's fallback, cannot work with."""
    for item in placed:
        for spec in scorers:
            for each in (spec, *(spec.fallback if isinstance(spec, JudgeSpec) else ())):
                if problem := _problem(each, item.case.reference):
                    sentence = f"case {item.case.id!r}: the scorer {each.name} needs {problem}"
                    raise ConfigError(sentence, file=cases, line=item.line, key="reference")


def _problem(spec: ScorerSpec, reference: Json) -> str | None:
    """What the scorer needs and does not get."""
    if isinstance(spec, (JudgeSpec, PythonSpec, RegexSpec)):
        return None
    if isinstance(spec, ContainsSpec):
        enough = bool(spec.values) or (reference is None and bool(spec.forbidden)) or _texts(reference, blank=False)
        return None if enough else "`values`, or a reference: a text, a number or a list of them"
    if isinstance(spec, SimilaritySpec):
        return None if _texts(reference, blank=False) else "a reference: a text or a list of texts"
    if isinstance(spec, ExactSpec):
        return None if _texts(reference, blank=True) else "a reference: a text, a number or a list of them"
    if isinstance(spec, JsonFieldsSpec):  # pyright: ignore[reportUnnecessaryIsInstance]  # so that a new type is seen
        given = _object(reference)
        if given is None:
            return "a reference: an object with its fields"
        absent = [name for name in spec.fields if not _holds(given, name)]
        return f"the field {absent[0]} in the reference" if absent else None
    assert_never(spec)


def _texts(reference: Json, *, blank: bool) -> bool:
    """Whether it is a text, a number, or some of them to choose from; `blank` texts may be of no use."""
    several = cast("list[Any]", reference) if isinstance(reference, list) else [reference]
    return bool(several) and all(isinstance(one, (str, int, float)) and (blank or str(one).strip()) for one in several)


def _object(reference: Json) -> Mapping[str, Json] | None:
    """Also where it is written as JSON within a text."""
    if isinstance(reference, str):
        try:
            reference = json.loads(reference)
        except (ValueError, RecursionError):
            return None
    return cast("Mapping[str, Json]", reference) if isinstance(reference, Mapping) else None


def _holds(value: Json, path: str) -> bool:
    """Whether the dotted `path` (`address.city`, `items.0`) leads to something, null included."""
    head, dot, rest = path.partition(".")
    if isinstance(value, Mapping):
        entries = cast("Mapping[str, Json]", value)
        return path in entries or bool(dot and head in entries and _holds(entries[head], rest))
    if isinstance(value, list) and head.isdecimal() and int(head) < len(cast("list[Any]", value)):
        return not dot or _holds(cast("list[Any]", value)[int(head)], rest)
    return False
