import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalops_core.errors import CallError, PermanentError, TransientError
from evalops_core.providers.retry import (
    CallPolicy,
    Deadline,
    TryLaterError,
    begin_case,
    deadline_of,
    retry_after_s,
    with_retries,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
QUICK = CallPolicy(timeout_s=5, deadline_s=30, max_attempts=4, base_backoff_s=0.001, max_backoff_s=0.002)


def failing(times: int, error: Callable[[], Exception], sent: list[int]) -> Callable[[], Awaitable[str]]:
    async def send() -> str:
        sent.append(len(sent) + 1)
        if len(sent) <= times:
            raise error()
        return "done"

    return send


def attempt(times: int, error: Callable[[], Exception], policy: CallPolicy, sent: list[int]) -> tuple[str, int]:
    return asyncio.run(with_retries(failing(times, error, sent), policy))


def test_a_call_is_tried_until_it_succeeds() -> None:
    assert attempt(2, lambda: TryLaterError("busy"), QUICK, []) == ("done", 3)


def test_a_call_whose_first_attempt_succeeds_enters_no_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    def loop(**_: object) -> None:
        raise AssertionError("tenacity was asked")

    monkeypatch.setattr("evalops_core.providers.retry.AsyncRetrying", loop)
    assert attempt(0, lambda: TryLaterError("busy"), QUICK, []) == ("done", 1)
    with pytest.raises(AssertionError, match="tenacity was asked"):
        attempt(1, lambda: TryLaterError("busy"), QUICK, [])


def test_the_attempt_cap_ends_a_call_with_the_last_reason() -> None:
    sent: list[int] = []
    with pytest.raises(TransientError, match=r"busy; given up after 4 attempts") as caught:
        attempt(99, lambda: TryLaterError("busy", status=503), QUICK, sent)
    assert type(caught.value) is TransientError
    assert (len(sent), caught.value.attempts, caught.value.status) == (4, 4, 503)


def test_a_permanent_error_is_not_tried_again_and_says_how_many_attempts_went_before() -> None:
    errors: list[Exception] = [TryLaterError("busy"), PermanentError("no")]
    sent: list[int] = []
    with pytest.raises(PermanentError) as caught:
        attempt(99, lambda: errors[len(sent) - 1], QUICK, sent)
    assert (len(sent), caught.value.attempts) == (2, 2)


def test_a_pause_longer_than_the_deadline_leaves_ends_the_call_at_once() -> None:
    sent: list[int] = []
    with pytest.raises(TransientError, match=r"1 attempt: it asks to wait 3600 s and (30|29\.\d+) s are left"):
        attempt(99, lambda: TryLaterError("busy", retry_after_s=3600), QUICK, sent)
    assert len(sent) == 1


def test_the_deadline_ends_a_call_whatever_the_attempt_cap() -> None:
    policy = CallPolicy(timeout_s=5, deadline_s=0.2, max_attempts=10**9, base_backoff_s=0.01, max_backoff_s=0.01)
    with pytest.raises(TransientError, match="the deadline leaves no time for another"):
        attempt(10**9, lambda: TryLaterError("busy"), policy, [])


def test_a_cancelled_call_stops_at_once_even_in_a_pause() -> None:
    async def scene() -> int:
        sent: list[int] = []
        paused = asyncio.Event()

        async def send() -> None:
            sent.append(len(sent) + 1)
            asyncio.get_running_loop().call_soon(paused.set)
            raise TryLaterError("busy", retry_after_s=20)

        task = asyncio.ensure_future(with_retries(send, QUICK))
        await paused.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return len(sent)

    assert asyncio.run(scene()) == 1


def test_an_unexpected_exception_passes_through_untouched() -> None:
    with pytest.raises(KeyError):
        attempt(99, lambda: KeyError("bug"), QUICK, [])


@given(st.integers(0, 10**6))
def test_seconds_and_dates_ask_for_the_same_pause(seconds: int) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after_s({"retry-after": str(seconds)}, NOW) == seconds
    assert retry_after_s({"retry-after": date}, NOW) == seconds


def test_milliseconds_are_more_exact_and_come_first() -> None:
    assert retry_after_s({"retry-after-ms": "50", "retry-after": "1"}, NOW) == 0.05


def test_a_date_in_the_past_asks_for_no_pause() -> None:
    assert retry_after_s({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, NOW) == 0


@given(st.text(max_size=40))
def test_whatever_the_header_says_a_pause_is_a_number_from_zero_on_or_unknown(header: str) -> None:
    pause = retry_after_s({"retry-after": header, "retry-after-ms": header}, NOW)
    assert pause is None or 0 <= pause < float("inf")


def test_each_repetition_is_announced_before_it_is_made_and_may_be_refused() -> None:
    sent: list[int] = []
    announced: list[tuple[int, bool]] = []

    async def before_retry(error: CallError) -> None:
        announced.append((len(sent), error.maybe_billed))
        if len(sent) == 2:
            raise LookupError("no money left")

    send = failing(9, lambda: TryLaterError("busy", maybe_billed=True), sent)
    with pytest.raises(LookupError, match="no money left"):
        asyncio.run(with_retries(send, QUICK, before_retry=before_retry))
    assert announced == [(1, True), (2, True)]
    assert len(sent) == 2


def test_a_deadline_begins_with_the_first_attempt() -> None:
    deadline = Deadline(10)
    assert deadline.left_s(now=1000) == 10
    deadline.begin(1000)
    deadline.begin(1005)
    assert (deadline.at, deadline.left_s(1004)) == (1010, 6)


def test_the_calls_of_a_case_share_its_deadline_and_other_cases_have_their_own() -> None:
    policy = CallPolicy(deadline_s=10, case_deadline_s=15)

    async def case(now: float) -> list[float]:
        begin_case()
        first = deadline_of(policy)
        first.begin(now)
        second = deadline_of(policy)
        left = [first.left_s(now), second.left_s(now + 3), second.left_s(now + 8)]
        second.begin(now + 8)
        return [*left, second.at - now]

    async def cases() -> list[list[float]]:
        return [*await asyncio.gather(case(100), case(500))]

    assert asyncio.run(cases()) == [[10, 10, 7, 15]] * 2


def test_a_call_of_no_case_has_its_own_deadline_alone() -> None:
    deadline = deadline_of(CallPolicy(deadline_s=10, case_deadline_s=1))
    assert deadline.left_s(0) == 10


def test_a_case_that_is_out_of_time_makes_no_further_attempt() -> None:
    policy = CallPolicy(timeout_s=5, deadline_s=60, case_deadline_s=0.2, base_backoff_s=0.001, max_backoff_s=0.001)
    sent: list[int] = []

    async def scene() -> None:
        begin_case()
        await with_retries(failing(99, lambda: TryLaterError("busy", retry_after_s=1), sent), policy)

    with pytest.raises(TransientError, match="it asks to wait 1 s"):
        asyncio.run(scene())
    assert len(sent) == 1
