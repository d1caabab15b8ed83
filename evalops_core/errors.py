"""Every exception that EvalOps raises on purpose.

What belongs here: promises that were broken, as types that carry their data. What does not: outcomes that a caller
branches on (those are return values, like `Unscored`). An exception's docstring is its default message.
"""

from pathlib import Path


class EvalOpsError(Exception):
    """Something in EvalOps went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0])


class ConfigError(EvalOpsError):
    """The configuration cannot be used.

    `str()` is one sentence that leads with the place, `file:line: key: what was expected and what to do`, as far as
    the place is known; commands print it and exit with 2.
    """

    def __init__(
        self, message: str, *, file: Path | None = None, line: int | None = None, key: str | None = None
    ) -> None:
        self.problem, self.file, self.line, self.key = message, file, line, key
        place = "" if file is None else f"{file}:{line}: " if line is not None else f"{file}: "
        super().__init__(f"{place}{key}: {message}" if key else f"{place}{message}")


class DatabaseError(EvalOpsError):
    """The database cannot be used."""


class NotComparableError(EvalOpsError):
    """The runs cannot be compared, or there is too little data to do so (exit code 3)."""


class CallError(EvalOpsError):
    """A call to a model endpoint failed for good, after every retry that made sense.

    `attempts` counts the requests sent (at least 1), `status` is the last HTTP status, if there was one.
    `maybe_billed` says that the last request was sent and brought nothing usable, not even a refusal: a timeout, a
    connection that broke off, an answer that was cut. The endpoint may have charged for it.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        attempts: int = 1,
        status: int | None = None,
        maybe_billed: bool = False,
    ) -> None:
        super().__init__(message)
        self.attempts, self.status, self.maybe_billed = attempts, status, maybe_billed


class TransientError(CallError):
    """The endpoint did not answer in time; the same call may succeed later."""


class PermanentError(CallError):
    """The endpoint refused the call; the same call will be refused again."""
