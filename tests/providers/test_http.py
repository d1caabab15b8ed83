import asyncio
import logging
import socket
import traceback
from collections.abc import Awaitable, Callable

import pytest
from pydantic import SecretStr

from evalops_core.domain.json import Json
from evalops_core.errors import CallError, ConfigError, PermanentError, TransientError
from evalops_core.providers.http import Answer, Endpoint, open_session
from evalops_core.providers.retry import CallPolicy
from tests.mock_fixture import MockOpenAI

KEY = "sk-test-4f9c0a7be21d"
QUICK = CallPolicy(timeout_s=10, deadline_s=60, max_attempts=8, base_backoff_s=0.01, max_backoff_s=0.05)
TWICE = CallPolicy(timeout_s=10, deadline_s=60, max_attempts=2, base_backoff_s=0.001, max_backoff_s=0.001)


def ask(
    base_url: str,
    *,
    calls: int = 1,
    connections: int = 10,
    policy: CallPolicy = QUICK,
    key: str | None = None,
) -> list[Answer | BaseException]:
    """How each of `calls` different calls ends, all of them made at once."""

    async def scene() -> list[Answer | BaseException]:
        async with open_session(connections) as session:
            secret = None if key is None else SecretStr(key)
            endpoint = Endpoint(session, base_url, "chat/completions", secret, policy)
            return await asyncio.gather(*(endpoint.post(body(at)) for at in range(calls)), return_exceptions=True)

    return asyncio.run(scene())


def body(at: int) -> dict[str, Json]:
    return {"model": "mock-model", "messages": [{"role": "user", "content": f"case-{at:04d}"}]}


def the_error(ended: list[Answer | BaseException]) -> CallError:
    (error,) = ended
    assert isinstance(error, CallError)
    return error


def test_under_faults_every_call_ends_with_one_more_request_for_each_fault(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(
        rate_429=0.05, rate_500=0.02, rate_reset=0.02, rate_hang=0.02, rate_cutoff=0.02, rate_truncated=0.02,
        retry_after="0.05", latency_ms=2,
    )  # fmt: skip
    policy = CallPolicy(timeout_s=2, deadline_s=60, max_attempts=8, base_backoff_s=0.01, max_backoff_s=0.05)
    ended = ask(mock_openai.base_url, calls=200, connections=20, policy=policy)
    outcomes = mock_openai.outcomes()
    faults = outcomes.total() - outcomes["ok"]
    assert {"429", "500", "reset", "hang", "cutoff", "truncated"} <= outcomes.keys(), "the faults did happen"
    assert all(isinstance(end, Answer) for end in ended)
    assert outcomes["ok"] == 200
    assert sum(end.attempts for end in ended if isinstance(end, Answer)) == 200 + faults


def test_where_nothing_works_every_call_ends_in_a_transient_error(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(rate_429=0.4, rate_reset=0.3, rate_cutoff=0.3, retry_after="0.01")
    ended = ask(mock_openai.base_url, calls=50, policy=TWICE)
    assert [type(end) for end in ended] == [TransientError] * 50
    assert len(mock_openai.requests()) == 100


def test_a_hanging_endpoint_is_given_up_at_the_deadline(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(rate_hang=1.0)
    policy = CallPolicy(timeout_s=0.1, deadline_s=0.5, max_attempts=1000, base_backoff_s=0.01, max_backoff_s=0.01)
    error = the_error(ask(mock_openai.base_url, policy=policy))
    assert isinstance(error, TransientError)
    assert "did not answer within" in str(error)
    assert "deadline" in str(error)


def test_no_attempt_takes_longer_than_what_the_deadline_leaves(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(rate_hang=1.0)
    policy = CallPolicy(timeout_s=60, deadline_s=0.3, max_attempts=1000, base_backoff_s=0.01, max_backoff_s=0.01)
    error = the_error(ask(mock_openai.base_url, policy=policy))
    assert "did not answer within 0.3 s" in str(error)
    assert len(mock_openai.requests()) == 1


def test_connections_are_reused_and_never_more_than_allowed(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(latency_ms=2)
    ended = ask(mock_openai.base_url, calls=200, connections=7)
    stats = mock_openai.stats()
    assert all(isinstance(end, Answer) for end in ended)
    assert stats["connections"] <= 7
    assert stats["max_in_flight"] <= 7


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_a_passing_failure_is_tried_again(mock_openai: MockOpenAI, status: int) -> None:
    mock_openai.configure(fail_status=status, fail_times=1, retry_after="0.01")
    (answer,) = ask(mock_openai.base_url)
    assert isinstance(answer, Answer)
    assert answer.attempts == 2


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404, 413, 422])
def test_a_refusal_is_not_tried_again(mock_openai: MockOpenAI, status: int) -> None:
    mock_openai.configure(fail_status=status, fail_message="because of the moon")
    error = the_error(ask(mock_openai.base_url))
    assert isinstance(error, PermanentError)
    assert (error.status, error.attempts) == (status, 1)
    assert ("because of the moon" if status >= 400 else "redirect to http://127.0.0.1:1/elsewhere") in str(error)
    assert len(mock_openai.requests()) == 1


def test_a_spent_quota_is_no_rate_limit(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(fail_status=429, fail_code="insufficient_quota")
    assert isinstance(the_error(ask(mock_openai.base_url)), PermanentError)
    assert len(mock_openai.requests()) == 1


@pytest.mark.parametrize("header", [{"retry_after": "600"}, {"retry_after": "", "retry_after_ms": "600000"}])
def test_a_rate_limit_beyond_the_deadline_ends_the_call_at_once(
    mock_openai: MockOpenAI, header: dict[str, str]
) -> None:
    mock_openai.configure(fail_status=429, **header)
    error = the_error(ask(mock_openai.base_url))
    assert isinstance(error, TransientError)
    assert "it asks to wait 600 s" in str(error)
    assert (error.status, len(mock_openai.requests())) == (429, 1)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        ('{"choices": [{"mess', TransientError),
        ('{"error": {"code": 429, "message": "upstream is busy"}}', TransientError),
        ('{"error": {"code": "odd", "message": "upstream is odd"}}', TransientError),
        ('{"error": {"code": 401, "message": "upstream wants a key"}}', PermanentError),
        ("<html><body>Welcome</body></html>", PermanentError),
        ("[1, 2]", PermanentError),
    ],
)
def test_a_200_that_is_no_answer_is_an_error(mock_openai: MockOpenAI, raw: str, kind: type[CallError]) -> None:
    mock_openai.configure(raw_body=raw)
    error = the_error(ask(mock_openai.base_url, policy=TWICE))
    assert type(error) is kind
    assert len(mock_openai.requests()) == (2 if kind is TransientError else 1)


def test_half_a_surrogate_pair_is_marked_and_not_paid_for_again(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(raw_body=r'{"text": "half \ud83d, whole \ud83d\ude00, spelt \\ud83d"}')
    (answer,) = ask(mock_openai.base_url)
    assert isinstance(answer, Answer)
    assert answer.body == {"text": "half \ufffd, whole \U0001f600, spelt \\ud83d"}
    assert len(mock_openai.requests()) == 1


def test_an_error_with_half_a_surrogate_pair_keeps_its_message(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(raw_body=r'{"error": {"code": 401, "message": "no key \udc00"}}')
    assert str(the_error(ask(mock_openai.base_url))).endswith("answered 401: no key \ufffd")


def test_an_endpoint_that_nobody_serves_is_a_transient_error() -> None:
    with socket.socket() as taken:  # bound, but not listening: connections are refused, and nobody else can take it
        taken.bind(("127.0.0.1", 0))
        error = the_error(ask(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", policy=TWICE))
    assert isinstance(error, TransientError)
    assert error.attempts == 2
    assert "could not be reached" in str(error)


@pytest.mark.parametrize("base_url", ["embedded", "", "ftp://x/v1", "127.0.0.1:80", "http://", "http://[::1"])
def test_an_address_that_is_none_is_a_configuration_error(base_url: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        ask(base_url)


def test_the_query_of_the_address_is_kept(mock_openai: MockOpenAI) -> None:
    async def url() -> str:
        async with open_session(1) as session:
            return str(Endpoint(session, "https://h/openai?api-version=7", "chat/completions", None, QUICK).url)

    assert asyncio.run(url()) == "https://h/openai/chat/completions?api-version=7"


def test_the_key_is_sent_as_a_bearer_token(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(require_key=KEY)
    assert isinstance(ask(mock_openai.base_url, key=KEY)[0], Answer)
    assert isinstance(ask(mock_openai.base_url, key=f" {KEY}\n")[0], Answer)
    assert the_error(ask(mock_openai.base_url)).status == 401


@pytest.mark.parametrize("padding", [0, 225, 230, 235, 255, 275, 400])
@pytest.mark.parametrize("status", [401, 500])
def test_the_key_never_shows_in_errors_or_logs_even_if_the_server_repeats_it(
    mock_openai: MockOpenAI, caplog: pytest.LogCaptureFixture, status: int, padding: int
) -> None:
    caplog.set_level(logging.DEBUG)
    mock_openai.configure(fail_status=status, echo_headers=True, fail_message="x" * padding)
    error = the_error(ask(mock_openai.base_url, policy=TWICE, key=KEY))
    shown = [str(error), repr(error), *traceback.format_exception(type(error), error, error.__traceback__)]
    start = KEY[:10]  # nor the half of it that is left of a cut
    assert start not in "".join(shown) + caplog.text
    assert len(str(error)) < 400


def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(mock_openai: MockOpenAI) -> None:
    error = the_error(ask(mock_openai.base_url, key="sk-first\nsk-second"))
    assert isinstance(error, PermanentError)
    assert "sk-" not in str(error)
    assert mock_openai.requests() == []


def test_what_is_no_json_is_never_sent(mock_openai: MockOpenAI) -> None:
    async def scene() -> None:
        async with open_session(1) as session:
            endpoint = Endpoint(session, mock_openai.base_url, "chat/completions", None, QUICK)
            await endpoint.post({"messages": "half a pair: \ud800"})

    with pytest.raises(PermanentError, match="cannot be written as JSON"):
        asyncio.run(scene())
    assert mock_openai.requests() == []


def test_a_cancelled_call_ends_at_once_and_is_not_sent_again(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(rate_hang=1.0)

    async def scene() -> None:
        async with open_session(1) as session:
            endpoint = Endpoint(session, mock_openai.base_url, "chat/completions", None, QUICK)
            task = asyncio.ensure_future(endpoint.post(body(0)))
            await until(lambda: asyncio.to_thread(lambda: len(mock_openai.requests()) == 1))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: asyncio.to_thread(lambda: mock_openai.outcomes()["hang"] == 1))

    asyncio.run(scene())
    assert len(mock_openai.requests()) == 1


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Asks another process until it has noticed; the test's own timeout is the end of the patience."""
    while not await holds():
        pass


@pytest.mark.parametrize(
    ("fault", "billed"),
    [
        ({"rate_hang": 1.0}, True),
        ({"rate_cutoff": 1.0}, True),
        ({"rate_truncated": 1.0}, True),
        ({"rate_reset": 1.0}, True),
        ({"rate_429": 1.0, "retry_after": "0"}, False),
        ({"rate_500": 1.0}, False),
        ({"fail_status": 401}, False),
    ],
)
def test_an_error_says_whether_the_endpoint_may_have_charged_for_it(
    mock_openai: MockOpenAI, fault: dict[str, float | str], billed: bool
) -> None:
    mock_openai.configure(**fault)
    policy = CallPolicy(timeout_s=0.5, deadline_s=60, max_attempts=2, base_backoff_s=0.001, max_backoff_s=0.001)
    assert the_error(ask(mock_openai.base_url, policy=policy)).maybe_billed is billed


def test_an_endpoint_that_was_never_reached_charges_nothing() -> None:
    assert not the_error(ask("http://127.0.0.1:1/v1", policy=TWICE)).maybe_billed
