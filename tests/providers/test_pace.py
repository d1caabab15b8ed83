"""Turns at an endpoint: in order, shared, given back, and never after a deadline."""

import asyncio
import math
from collections.abc import Awaitable, Callable

import pytest
from pydantic import SecretStr

from evalops_core.domain.json import Json
from evalops_core.domain.pace import START, Controller
from evalops_core.errors import CallError, TransientError
from evalops_core.providers.http import Answer, Endpoint, open_session
from evalops_core.providers.pace import (
    Allowance,
    CancelledUnsentError,
    Learned,
    NotSentError,
    Pace,
    Paces,
    PerMinute,
    TooLateError,
)
from evalops_core.providers.retry import CallPolicy
from tests.mock_fixture import MockOpenAI

QUICK = CallPolicy(timeout_s=10, deadline_s=60, max_attempts=8, base_backoff_s=0.01, max_backoff_s=0.05)


def pace_of(most: int) -> Pace:
    return Pace(Controller(most, most))


def body(at: int) -> dict[str, Json]:
    return {"model": "mock-model", "messages": [{"role": "user", "content": f"case-{at:04d}"}]}


async def settled() -> None:
    """Every task has gone on as far as it can without a timer or the network."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_turns_are_taken_in_the_order_in_which_they_were_asked_for() -> None:
    order: list[int] = []

    async def scene() -> None:
        pace = pace_of(2)

        async def call(number: int) -> None:
            ticket = await pace.turn()
            order.append(number)
            await asyncio.sleep(0)
            pace.ended(ticket, answered=True)

        await asyncio.gather(*(call(number) for number in range(50)))
        assert pace.controller.in_flight == 0

    asyncio.run(scene())
    assert order == list(range(50))


def test_no_more_are_in_flight_than_may_be() -> None:
    async def scene() -> int:
        pace, most = pace_of(3), 0

        async def call() -> None:
            nonlocal most
            ticket = await pace.turn()
            most = max(most, pace.controller.in_flight)
            await asyncio.sleep(0)
            pace.ended(ticket, answered=False)

        await asyncio.gather(*(call() for _ in range(100)))
        return most

    assert asyncio.run(scene()) == 3


def test_who_is_cancelled_in_line_is_passed_over_and_was_not_sent() -> None:
    async def scene() -> None:
        pace = pace_of(1)
        first = await pace.turn()
        waiting = [asyncio.ensure_future(pace.turn()) for _ in range(3)]
        await settled()
        waiting[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting[0]
        pace.ended(first, answered=True)
        pace.ended(await waiting[1], answered=True)
        pace.ended(await waiting[2], answered=True)
        assert pace.controller.in_flight == 0

    asyncio.run(scene())


def test_who_is_cancelled_at_the_moment_of_being_let_in_gives_the_turn_to_the_next() -> None:
    async def scene() -> None:
        pace = pace_of(1)
        first = await pace.turn()
        waiting = [asyncio.ensure_future(pace.turn()) for _ in range(2)]
        await settled()
        pace.ended(first, answered=True)
        waiting[0].cancel()  # it has its turn already, and has not run since
        pace.ended(await waiting[1], answered=True)
        assert waiting[0].cancelled()
        assert pace.controller.in_flight == 0

    asyncio.run(scene())


def test_a_cancelled_wait_says_that_nothing_was_sent() -> None:
    async def scene() -> type[BaseException]:
        pace = pace_of(1)
        await pace.turn()
        ended: list[type[BaseException]] = []

        async def call() -> None:
            try:
                await pace.turn()
            except BaseException as error:
                ended.append(type(error))
                raise

        task = asyncio.ensure_future(call())
        await settled()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        return ended[0]

    assert asyncio.run(scene()) is CancelledUnsentError


def test_who_has_waited_until_the_deadline_is_not_sent() -> None:
    async def scene() -> None:
        pace = pace_of(1)
        first = await pace.turn()
        with pytest.raises(NotSentError):
            await pace.turn(latest=asyncio.get_running_loop().time() + 0.02)
        pace.ended(first, answered=True)
        assert (await pace.turn()).position == 1, "and takes nobody's turn"

    asyncio.run(scene())


def test_a_pause_that_one_call_was_asked_for_holds_for_all_that_wait() -> None:
    async def scene() -> None:
        pace, now = pace_of(4), asyncio.get_running_loop().time
        refused, other = await pace.turn(), await pace.turn()
        pace.ended(refused, answered=False, status=429, retry_after_s=0.05)
        opens_at = pace.controller.closed_until
        pace.ended(other, answered=True)  # which would let the next one in
        for task in asyncio.as_completed([pace.turn(), pace.turn()]):
            pace.ended(await task, answered=True)
            assert now() >= opens_at

    asyncio.run(scene())


def test_a_call_that_was_refused_among_answered_ones_waits_alone() -> None:
    async def scene() -> None:
        pace = pace_of(20)
        refused, *others = [await pace.turn() for _ in range(20)]
        pace.ended(refused, answered=False, status=429, retry_after_s=3600)
        waiting = asyncio.ensure_future(pace.turn())
        for ticket in others:
            pace.ended(ticket, answered=True)
        pace.ended(await waiting, answered=True)

    asyncio.run(asyncio.wait_for(scene(), 30))


@pytest.mark.parametrize("status", [429, 503, 529])
def test_a_pause_longer_than_a_call_may_take_is_not_waited_for_by_anybody(status: int) -> None:
    async def scene() -> None:
        pace = pace_of(1)
        first = await pace.turn()
        waiting = [asyncio.ensure_future(pace.turn(patience_s=60)) for _ in range(3)]
        await settled()
        pace.ended(first, answered=False, status=status, retry_after_s=600)
        assert [type(end) for end in await asyncio.gather(*waiting, return_exceptions=True)] == [NotSentError] * 3
        with pytest.raises(NotSentError):
            await pace.turn(patience_s=60)

    asyncio.run(scene())


def test_all_who_call_a_host_with_a_key_share_its_pace_and_others_do_not() -> None:
    paces = Paces()
    mine, yours = SecretStr("sk-mine"), SecretStr("sk-yours")
    first, _ = paces.of("https://api.example.com/v1", mine, "a-model")
    assert paces.of("https://api.example.com/v2/other", mine, "its-judge")[0] is first
    for other in (
        paces.of("https://api.example.com/v1", yours, "a-model"),
        paces.of("https://api.example.com/v1", None, "a-model"),
        paces.of("https://api.example.com:8443/v1", mine, "a-model"),
        paces.of("http://api.example.com/v1", mine, "a-model"),
        paces.of("https://api.example.org/v1", mine, "a-model"),
    ):
        assert other[0] is not first
    assert paces.of("no address", mine, "a-model") == (None, None)
    assert "sk-" not in f"{paces} {paces!r}"


def test_limits_a_minute_are_those_of_the_model_or_of_all_others() -> None:
    paces = Paces(per_minute={"a": PerMinute(requests=60), "*": PerMinute(tokens=600)})
    place = "https://api.example.com/v1"
    allowances = [paces.of(place, None, model)[1] for model in ("a", "b", "c")]
    assert len({id(allowance) for allowance in allowances}) == 3
    assert paces.of(place, None, "b")[1] is allowances[1]
    assert Paces(per_minute={"a": PerMinute()}).of(place, None, "b")[1] is None


def test_requests_beyond_the_limit_wait_for_their_minute() -> None:
    async def scene() -> list[bool]:
        allowance = Allowance(PerMinute(requests=2))  # one, and the next after half a minute
        takes = [asyncio.ensure_future(allowance.take(100)) for _ in range(3)]
        await settled()
        done = [task.done() for task in takes]
        for task in takes:
            task.cancel()
        await asyncio.gather(*takes, return_exceptions=True)
        return done

    assert asyncio.run(scene()) == [True, False, False]


def test_tokens_that_an_estimate_missed_are_taken_from_the_next_request() -> None:
    async def scene() -> list[bool]:
        allowance = Allowance(PerMinute(tokens=60_000))  # a thousand at once
        estimate = await allowance.take(400)
        assert estimate == 100, "a quarter of the bytes, before anything is known"
        allowance.settle(estimate, 500)  # four hundred more than were taken
        second = asyncio.ensure_future(allowance.take(400))  # 500 as the last one had, and the 400: more than is left
        third = asyncio.ensure_future(allowance.take(400))
        await settled()
        done = [second.done(), third.done()]
        for task in (second, third):
            task.cancel()
        await asyncio.gather(second, third, return_exceptions=True)
        return done

    done = asyncio.run(scene())
    assert done == [True, False]


def test_an_estimate_that_was_too_high_is_given_back() -> None:
    async def scene() -> None:
        allowance = Allowance(PerMinute(tokens=60_000))
        for _ in range(50):  # of the thousand tokens at once
            allowance.settle(await allowance.take(1200), 10)

    asyncio.run(asyncio.wait_for(scene(), 5))


def test_a_request_larger_than_a_second_of_tokens_is_let_in_all_the_same() -> None:
    async def scene() -> None:
        allowance = Allowance(PerMinute(tokens=600_000))  # ten thousand at once
        await asyncio.wait_for(allowance.take(44_000), 30)

    asyncio.run(scene())


def ask(
    mock: MockOpenAI, pace: Callable[[], Pace], calls: int, policy: CallPolicy = QUICK
) -> list[Answer | BaseException]:
    """How each of `calls` ends, all made at once by one pace."""

    async def scene() -> list[Answer | BaseException]:
        async with open_session(100) as session:
            endpoint = Endpoint(session, mock.base_url, "chat/completions", None, policy, pace())
            return await asyncio.gather(*(endpoint.post(body(at)) for at in range(calls)), return_exceptions=True)

    return asyncio.run(scene())


def test_the_wait_for_a_turn_is_neither_latency_nor_taken_from_the_calls_time(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(latency_ms=100)
    impatient = CallPolicy(
        timeout_s=1.5, deadline_s=1.5, max_attempts=1
    )  # of twenty calls in a row, two seconds in all
    ended = ask(mock_openai, lambda: pace_of(1), 20, impatient)
    assert all(isinstance(end, Answer) and end.latency_s <= 1.5 for end in ended)
    assert mock_openai.stats()["max_in_flight"] == 1


def test_an_endpoint_with_few_places_answers_every_call_though_nobody_said_how_many(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(latency_ms=5, inflight_limit=3, retry_after="0.02")
    ended = ask(mock_openai, lambda: Pace(Controller(100)), 300)
    assert all(isinstance(end, Answer) for end in ended)
    assert mock_openai.outcomes()["429"] < 60


def test_an_endpoint_that_limits_requests_a_second_answers_every_call(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(rps_limit=100, retry_after="0.1")
    ended = ask(mock_openai, lambda: Pace(Controller(100)), 300)
    assert all(isinstance(end, Answer) for end in ended)


def test_every_call_is_answered_under_faults_with_one_more_request_for_each_fault(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(rate_429=0.05, rate_500=0.02, rate_reset=0.02, retry_after="0.02", latency_ms=2)
    ended = ask(mock_openai, lambda: Pace(Controller(50, 50)), 400)
    outcomes = mock_openai.outcomes()
    assert all(isinstance(end, Answer) for end in ended)
    assert outcomes["429"] > 0
    assert sum(end.attempts for end in ended if isinstance(end, Answer)) == outcomes.total()
    assert outcomes["ok"] == 400


def test_what_one_event_loop_has_learned_is_where_the_next_one_begins_and_nothing_is_shared() -> None:
    learned = Learned()

    async def taught(paces: Paces) -> Pace:
        pace, _ = paces.of("http://127.0.0.1:9/v1", None, "m")
        assert pace is not None
        for ticket in [await pace.turn() for _ in range(START)]:
            pace.ended(ticket, answered=True)
        pace.ended(await pace.turn(), answered=False, status=429, retry_after_s=0.0)
        paces.keep()
        return pace

    first = asyncio.run(taught(Paces(learned=learned)))
    limit, closed_until = first.controller.limit, first.controller.closed_until
    assert limit > START
    next_one, _ = Paces(learned=learned).of("http://127.0.0.1:9/v1", None, "m")
    assert next_one is not None
    assert next_one.controller is not first.controller
    assert (next_one.controller.limit, next_one.controller.closed_until) == (limit, closed_until)
    asyncio.run(taught(Paces(learned=learned)))
    assert next_one.controller.limit == limit
    other, _ = Paces(learned=learned).of("http://127.0.0.2:9/v1", None, "m")
    assert other is not None
    assert other.controller.limit == START, "another endpoint is not known"


def test_a_pace_with_calls_in_flight_is_not_handed_on() -> None:
    learned = Learned()

    async def unended(paces: Paces) -> None:
        pace, _ = paces.of("http://127.0.0.1:9/v1", None, "m")
        assert pace is not None
        await pace.turn()
        paces.keep()

    asyncio.run(unended(Paces(learned=learned)))
    pace, _ = Paces(learned=learned).of("http://127.0.0.1:9/v1", None, "m")
    assert pace is not None
    assert pace.controller.in_flight == 0


def test_one_refusal_for_long_spares_the_endpoint_all_calls_that_wait(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(fail_status=429, retry_after="3600")
    ended = ask(mock_openai, lambda: pace_of(1), 20)
    assert [isinstance(end, TransientError) for end in ended] == [True] * 20
    assert "asks everybody to wait" in str(ended[-1])
    assert len(mock_openai.requests()) == 1


def test_no_call_is_sent_after_the_end(mock_openai: MockOpenAI) -> None:
    async def scene() -> None:
        policy = CallPolicy(timeout_s=10, deadline_s=60, ends_at=asyncio.get_running_loop().time())
        async with open_session(1) as session:
            endpoint = Endpoint(session, mock_openai.base_url, "chat/completions", None, policy, pace_of(1))
            with pytest.raises(TooLateError, match="deadline has passed"):
                await endpoint.post(body(0))

    asyncio.run(scene())
    assert mock_openai.requests() == []


def test_those_in_line_end_with_the_end_and_those_in_flight_finish(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(latency_ms=300)

    async def scene() -> list[Answer | BaseException]:
        policy = CallPolicy(timeout_s=10, deadline_s=60, ends_at=asyncio.get_running_loop().time() + 0.1)
        async with open_session(2) as session:
            endpoint = Endpoint(session, mock_openai.base_url, "chat/completions", None, policy, pace_of(1))
            return await asyncio.gather(*(endpoint.post(body(at)) for at in range(3)), return_exceptions=True)

    first, *others = asyncio.run(scene())
    assert isinstance(first, Answer)
    assert [type(end) for end in others] == [TooLateError] * 2
    assert len(mock_openai.requests()) == 1


@pytest.mark.parametrize(("answered", "fails"), [(True, {}), (False, {"fail_status": 400}), (False, {"rate_429": 1.0})])
def test_every_turn_is_given_back_however_the_call_ends(
    mock_openai: MockOpenAI, answered: bool, fails: dict[str, float]
) -> None:
    mock_openai.configure(retry_after="0", **fails)
    paces: list[Pace] = []

    def pace() -> Pace:
        paces.append(pace_of(2))
        return paces[0]

    ended = ask(mock_openai, pace, 6, CallPolicy(timeout_s=5, deadline_s=20, max_attempts=2, base_backoff_s=0.001))
    assert [isinstance(end, Answer) for end in ended] == [answered] * 6
    assert answered or all(isinstance(end, CallError) for end in ended)
    assert paces[0].controller.in_flight == 0


def test_a_call_cancelled_in_flight_gives_its_turn_back(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(rate_hang=1.0)

    async def scene() -> None:
        pace = pace_of(1)
        async with open_session(1) as session:
            endpoint = Endpoint(session, mock_openai.base_url, "chat/completions", None, QUICK, pace)
            task = asyncio.ensure_future(endpoint.post(body(0)))
            await until(lambda: asyncio.to_thread(lambda: len(mock_openai.requests()) == 1))
            task.cancel()
            await asyncio.wait([task])
            assert pace.controller.in_flight == 0

    asyncio.run(scene())


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Asks another process until it has noticed; the test's own timeout is the end of the patience."""
    while not await holds():
        pass


def test_an_unlimited_deadline_waits_for_ever() -> None:
    async def scene() -> None:
        pace = pace_of(1)
        first = await pace.turn()
        task = asyncio.ensure_future(pace.turn(latest=math.inf, patience_s=1.0))
        await settled()
        assert not task.done()
        pace.ended(first, answered=True)
        assert (await task).position == 1

    asyncio.run(scene())
