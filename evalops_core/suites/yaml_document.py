"""A YAML file as plain values together with the line that each of them stands on.

What belongs here: reading YAML defensively and remembering positions. What does not: which keys mean what (files).
Plain scalars follow the core schema of YAML 1.2, as editors do: only `true` and `false` are booleans, a date is text.
Anchors, aliases, merge keys and tags are refused, so a small file cannot expand into a large value.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from evalops_core.domain.json import Json
from evalops_core.errors import ConfigError

Keys = tuple["str | int", ...]
DEEPEST = 32

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is an option of PyYAML's build
_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: Mapping[str, Json] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(frozen=True, slots=True)
class Document:
    """`value` is None for an empty file. Lines count from 1 and are kept by path, a key or an index a step."""

    value: Json
    lines: Mapping[Keys, int]
    blocks: Mapping[Keys, int]

    def line(self, keys: Keys) -> int | None:
        """Of the key or item there, or of the nearest one around it."""
        return next((self.lines[keys[:n]] for n in range(len(keys), -1, -1) if keys[:n] in self.lines), None)

    def text_line(self, keys: Keys, line: int | None) -> int | None:
        """Where line `line` of the text there stands; the text's own start unless it is a literal block (`|`)."""
        if line is None or keys not in self.blocks:
            return self.line(keys)
        return self.blocks[keys] + line - 1


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet; `key` is the key that waits for its value."""

    keys: Keys
    value: "dict[str, Any] | list[Any]"
    key: "str | None" = None
    key_lines: dict[str, int] = field(default_factory=dict[str, int])


def read_document(text: str, file: Path) -> Document:
    """ConfigError with the line for anything but one plain YAML document."""
    reader = _Reader(file)
    try:
        for event in _events(text):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "it cannot be parsed"
        raise ConfigError(f"not valid YAML: {problem}", file=file, line=mark.line + 1 if mark else None) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # PyYAML lets a few of the latter through
        detail = getattr(error, "reason", None) or str(error)
        raise ConfigError(f"not valid YAML: {detail}", file=file) from None
    return Document(reader.value, reader.lines, reader.blocks)


def _events(text: str) -> Iterator[Any]:
    yield from yaml.parse(text, Loader=_Loader)  # pyright: ignore[reportUnknownMemberType]  # untyped in the stubs


class _Reader:
    """Builds the value from parser events with a stack of its own, so no nesting can exhaust Python's."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.value: Any = None
        self.lines: dict[Keys, int] = {}
        self.blocks: dict[Keys, int] = {}
        self._stack: list[_Open] = []
        self._documents = 0

    def take(self, event: Any) -> None:
        line: int = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise self._refuse("a second document starts here; write one document, without a `---` in it", line)
        elif isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise self._refuse("anchors and aliases (`&`, `*`) are not read; write the value out", line)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._stack.pop()
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._open(event, line)

    def _open(self, event: Any, line: int) -> None:
        if event.tag is not None:
            raise self._refuse(f"the tag {event.tag} is not read; write the value plainly", line)
        if len(self._stack) == DEEPEST:
            raise self._refuse(f"nested deeper than {DEEPEST} levels; flatten it", line)
        value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._stack.append(_Open(self._place(value, line), value))

    def _scalar(self, event: Any, line: int) -> None:
        if event.tag not in (None, "!"):
            raise self._refuse(f"the tag {event.tag} is not read; write the value plainly, text in quotes", line)
        top = self._stack[-1] if self._stack else None
        text: str = event.value
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise self._refuse("NUL and lone surrogates cannot be stored; remove them", line)
        if top is not None and isinstance(top.value, dict) and top.key is None:
            self._key(top, text, line)
            return
        plain = event.style is None or event.style == ""
        keys = self._place(self._resolved(text, line) if plain and event.tag is None else text, line)
        if event.style == "|":
            self.blocks[keys] = line + 1

    def _key(self, top: _Open, text: str, line: int) -> None:
        if text == "<<":
            raise self._refuse("merge keys (`<<`) are not read; write the keys out", line)
        if text in top.key_lines:
            raise ConfigError(
                f"given twice, on lines {top.key_lines[text]} and {line}; keep one",
                file=self.file,
                line=line,
                key=dotted((*top.keys, text)),
            )
        top.key, top.key_lines[text] = text, line

    def _place(self, value: Any, line: int) -> Keys:
        """Put a value where it belongs, and say which path that is."""
        if not self._stack:
            self.value, self.lines[()] = value, line
            return ()
        top = self._stack[-1]
        if isinstance(top.value, list):
            keys: Keys = (*top.keys, len(top.value))
            top.value.append(value)
        elif top.key is None:
            raise self._refuse("a key must be plain text", line)
        else:
            keys, line = (*top.keys, top.key), top.key_lines[top.key]
            top.value[top.key], top.key = value, None
        self.lines[keys] = line
        return keys

    def _resolved(self, text: str, line: int) -> Json:
        if text in _WORDS:
            return _WORDS[text]
        if _INT.fullmatch(text) and len(text) <= 20:
            return int(text)
        if _BASED.fullmatch(text) and len(text) <= 20:
            return int(text, 0)
        if _FLOAT.fullmatch(text) or _NOT_FINITE.fullmatch(text):
            number = float(text) if _FLOAT.fullmatch(text) else math.inf
            if not math.isfinite(number):
                raise self._refuse(
                    f"{text[:40]} is not a finite number; write a finite one, or put text in quotes", line
                )
            return number
        return text

    def _refuse(self, problem: str, line: int) -> ConfigError:
        key = None
        if self._stack:
            top = self._stack[-1]
            step = top.key if isinstance(top.value, dict) else len(top.value)
            key = dotted(top.keys if step is None else (*top.keys, step)) or None
        return ConfigError(problem, file=self.file, line=line, key=key)


def dotted(keys: Keys) -> str:
    """`scorers[0].rubric.axes[1].name`."""
    parts = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return "".join(parts).removeprefix(".")
