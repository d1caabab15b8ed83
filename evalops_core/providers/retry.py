"""When a call is tried again, after which pause, and when it is given up.

What belongs here: the policy, the pauses, the attempt cap and the deadline. What does not: which answers are worth
another try (http). The loop is tenacity's; a call whose first attempt succeeds does without it, which would take a
tenth of the call's CPU.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from evalops_core.errors import CallError, TransientError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """How long one attempt (`timeout_s`) and all of them with their pauses (`deadline_s`) may take, in seconds.

    The pause before attempt n + 1 is drawn from [0, min(`max_backoff_s`, `base_backoff_s` · 2ⁿ⁻¹)] ("full jitter":
    Brooker 2015, "Exponential Backoff and Jitter"), on top of what the endpoint asked for by `Retry-After`.
    """

    timeout_s: float = 60.0
    deadline_s: float = 300.0
    max_attempts: int = 8
    base_backoff_s: float = 0.5
    max_backoff_s: float = 30.0
    case_deadline_s: float = math.inf  # for all calls of one answer, or of one judgment
    ends_at: float = math.inf  # an instant of the loop's clock after which no attempt is sent


class Deadline:
    """The end of a call with all its retries: `seconds` after it began, which it does when it is first sent.

    Until then it waits for its turn, as long as that takes: that others are many is no fault of this call. It ends
    `within` another deadline, which begins with it at the latest.
    """

    __slots__ = ("_at", "_seconds", "_within")

    def __init__(self, seconds: float, within: "Deadline | None" = None) -> None:
        self._seconds, self._within, self._at = seconds, within, math.inf

    @property
    def at(self) -> float:
        """An instant of the loop's clock; infinity before it began."""
        return self._at if self._within is None else min(self._at, self._within.at)

    def begin(self, now: float) -> None:
        """The call is sent; the first time counts."""
        if self._at == math.inf:
            self._at = now + self._seconds
            if self._within is not None:
                self._within.begin(now)

    def left_s(self, now: float) -> float:
        """All of them before it began."""
        left = min(self._seconds, self._at - now)
        return left if self._within is None else min(left, self._within.left_s(now))


_CASE: ContextVar["list[Deadline] | None"] = ContextVar("case", default=None)


def begin_case() -> None:
    """The calls that this task makes from now on, and tasks that it starts, share one deadline (`case_deadline_s`)."""
    _CASE.set([])


def deadline_of(policy: CallPolicy) -> Deadline:
    """A call's own, within its case's where it belongs to one."""
    case = _CASE.get()
    if case is None or policy.case_deadline_s == math.inf:
        return Deadline(policy.deadline_s)
    if not case:
        case.append(Deadline(policy.case_deadline_s))
    return Deadline(policy.deadline_s, case[0])


class TryLaterError(TransientError):
    """One attempt failed in a way that another may not; `retry_after_s` is the pause the endpoint asked for."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        maybe_billed: bool = False,
    ) -> None:
        super().__init__(message, status=status, maybe_billed=maybe_billed)
        self.retry_after_s = retry_after_s


BeforeRetry = Callable[[CallError], Awaitable[None]]


async def with_retries(
    send: Callable[[], Awaitable[T]],
    policy: CallPolicy,
    *,
    deadline: Deadline | None = None,
    before_retry: BeforeRetry | None = None,
) -> tuple[T, int]:
    """What `send()` returns, and the number of attempts it took.

    `deadline` begins in the first `send` that waited for its turn; without it, it is `policy.deadline_s` from now. Only
    a `TryLaterError` is tried again; where the next attempt could only start after the deadline, the call is given up
    at once. `before_retry` is awaited before each further attempt, with what became of the last one; an exception of
    its ends the call. Raises TransientError once given up, and lets every other exception through (CallErrors with
    their attempts).
    """
    now = asyncio.get_running_loop().time
    start = now()
    if deadline is None:
        deadline = deadline_of(policy)
        deadline.begin(start)
    attempts = 0

    async def attempt() -> T:
        nonlocal attempts
        attempts += 1
        return await send()

    try:
        try:
            return await attempt(), 1  # as nearly every call ends; tenacity's loop is for the others
        except TryLaterError as error:
            failed = error
        return await _again(attempt, failed, policy, deadline, before_retry), attempts
    except TryLaterError as last:
        reason = _why_given_up(last, attempts, policy, deadline.left_s(now()), now() - start)
        raise TransientError(
            f"{last}; {reason}", attempts=attempts, status=last.status, maybe_billed=last.maybe_billed
        ) from None
    except CallError as error:
        error.attempts = attempts
        raise


async def _again(
    attempt: Callable[[], Awaitable[T]],
    failed: TryLaterError,
    policy: CallPolicy,
    deadline: Deadline,
    before_retry: BeforeRetry | None,
) -> T:
    """What a further attempt returns, the first one having `failed`; raises as the last one did."""
    now = asyncio.get_running_loop().time
    backoff = wait_random_exponential(multiplier=policy.base_backoff_s, max=policy.max_backoff_s)

    def pause(state: RetryCallState) -> float:
        return _asked_pause(state) + backoff(state)

    def give_up(state: RetryCallState) -> bool:
        return state.attempt_number >= policy.max_attempts or state.upcoming_sleep >= deadline.left_s(now())

    async def announce(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if before_retry is not None and isinstance(error, TryLaterError):
            await before_retry(error)

    async for again in AsyncRetrying(
        retry=retry_if_exception_type(TryLaterError),
        wait=pause,
        stop=give_up,
        before_sleep=announce,
        reraise=True,
    ):
        with again:
            if again.retry_state.attempt_number == 1:
                raise failed
            return await attempt()
    raise AssertionError("tenacity ends with a result or an exception")


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """The pause in seconds that an answer asks for: `retry-after-ms`, else `Retry-After` in seconds or as an HTTP date.

    `headers` finds names whatever their case; `now` is aware. None where nothing usable is said.
    """
    milliseconds, plain = _number(headers.get("retry-after-ms")), headers.get("retry-after")
    if milliseconds is not None:
        return milliseconds / 1000
    seconds = _number(plain)
    if seconds is not None or plain is None:
        return seconds
    try:
        when = parsedate_to_datetime(plain)
    except ValueError:
        return None
    aware = when if when.tzinfo else when.replace(tzinfo=timezone.utc)
    return max(0.0, (aware - now).total_seconds())


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text else math.nan
    except ValueError:
        return None
    return max(0.0, value) if math.isfinite(value) else None


def _asked_pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return (error.retry_after_s or 0.0) if isinstance(error, TryLaterError) else 0.0


def _why_given_up(last: TryLaterError, attempts: int, policy: CallPolicy, left_s: float, spent_s: float) -> str:
    tries = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    if attempts >= policy.max_attempts:
        return f"given up after {tries} in {spent_s:.1f} s"
    if last.retry_after_s is not None and last.retry_after_s >= left_s:
        return (
            f"given up after {tries}: it asks to wait {last.retry_after_s:.4g} s and {max(left_s, 0.0):.4g} s are left"
        )
    return f"given up after {tries}: the deadline leaves no time for another"
