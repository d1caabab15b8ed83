"""What is said of an error or of a library's warning, and the exit code that an error gives.

What belongs here: one sentence for each. What does not: where errors come from.
"""

import logging
import sys
import traceback
from collections.abc import Generator
from contextlib import contextmanager

from evalops_core.errors import ConfigError, EvalOpsError, NotComparableError

_LONGEST = 300


def exit_code(error: Exception) -> int:
    if isinstance(error, ConfigError):
        return 2
    return 3 if isinstance(error, NotComparableError) else 1


def in_a_sentence(error: Exception) -> str:
    """An error of ours speaks for itself. Of any other, its type and first line; its traceback goes to a file."""
    if isinstance(error, EvalOpsError):
        return str(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no more is known"]
    return f"{type(error).__name__}: {lines[0][:_LONGEST]}{_kept(error)}"


@contextmanager
def brief_warnings() -> Generator[None, None, None]:
    """What libraries log as a warning or worse goes to stderr, its first line, once."""
    handler = _FirstLines(logging.WARNING)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


class _FirstLines(logging.Handler):
    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage().strip().partition("\n")[0][:_LONGEST]
        if line not in self._said:
            self._said.add(line)
            print(f"warning: {line}", file=sys.stderr, flush=True)


def _kept(error: Exception) -> str:
    from evalops_core.settings import load_settings

    try:
        log = load_settings().home / "logs" / "errors.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write("".join(traceback.format_exception(type(error), error, error.__traceback__)) + "\n")
    except (OSError, EvalOpsError):
        return ""
    return f" (the traceback is in {log})"
