"""The function of a deployment's own that takes out of texts what must not be stored.

What belongs here: finding it, and calling it on all that a trace says. What does not: what is sensitive, which only the
function's author knows.
"""

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

from evalops_core.domain.json import Json
from evalops_core.errors import ConfigError
from evalops_core.traces.call import BadRecordError

Redact: TypeAlias = Callable[[str], str]
SETTING: Final = "EVALOPS_TRACE_REDACTION"
_WORD: Final = re.compile(r"[A-Za-z_-]{1,40}")


def load_redaction(function: str | None) -> Redact | None:
    """The function that is named `package.module:function`; None where none is named.

    It is looked for among the installed packages, then in the current directory, which is importable while the module
    is imported and no longer: what the module needs from there it imports at its top. ConfigError where it cannot be
    had. Whatever goes wrong in a call of it later raises BadRecordError, without the text.
    """
    if function is None:
        return None
    name, colon, attribute = function.partition(":")
    if not (name and colon and attribute):
        raise ConfigError(f"expected package.module:function, not {function[:80]!r}", key=SETTING)
    try:
        with _current_directory():
            found: Any = importlib.import_module(name)
    except (Exception, SystemExit) as error:  # a module of somebody else's may raise anything
        raise ConfigError(
            f"{name} cannot be imported ({type(error).__name__}: {str(error)[:200]}); it is looked for among the "
            f"installed packages and in {Path.cwd()}",
            key=SETTING,
        ) from error
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if not callable(found) or inspect.iscoroutinefunction(found):
        raise ConfigError(f"{name} has no plain function {attribute}; write one from str to str", key=SETTING)
    return _guarded(found, function)


def redacted(message: Mapping[str, Json], redact: Redact) -> dict[str, Json]:
    """The message with each of its texts redacted, those of nested lists and objects included.

    As they are stay keys, the message's role, and the types of its content's parts, where they are single words.
    """
    return {key: _of_message(key, item, redact) for key, item in message.items()}


def _of_message(key: str, item: Json, redact: Redact) -> Json:
    if key == "role" and _is_word(item):
        return item
    if key == "content" and isinstance(item, list):
        return [_part(part, redact) for part in item]
    return _deep(item, redact)


def _part(part: Json, redact: Redact) -> Json:
    if not isinstance(part, dict):
        return _deep(part, redact)
    return {key: item if key == "type" and _is_word(item) else _deep(item, redact) for key, item in part.items()}


def _deep(value: Json, redact: Redact) -> Json:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [_deep(item, redact) for item in value]
    if isinstance(value, dict):
        return {key: _deep(item, redact) for key, item in value.items()}
    return value


def _is_word(item: Json) -> bool:
    return isinstance(item, str) and bool(_WORD.fullmatch(item))


def _guarded(found: Callable[[str], object], function: str) -> Redact:
    def redact(text: str) -> str:
        try:
            result = found(text)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - an error's own words may hold the text
            problem = f"raised {type(error).__name__}"
        else:
            if isinstance(result, str):
                return result
            problem = f"returned {type(result).__name__}"
        # Outside of the handler, so that the error, which may hold the text, is no part of this one.
        raise BadRecordError(f"expected {function} to return the redacted text; it {problem}")

    return redact


@contextmanager
def _current_directory() -> Generator[None, None, None]:
    """The last place to be looked in, so that no file lying there stands in for an installed module."""
    folder = str(Path.cwd())
    sys.path.append(folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if folder in sys.path:
            del sys.path[len(sys.path) - 1 - sys.path[::-1].index(folder)]
