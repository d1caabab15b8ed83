"""What is said of an error, and the exit code it gives.

What belongs here: one sentence for each. What does not: where errors come from.
"""

import traceback

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
