import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalops_core.domain.chat import ChatModel, ChatReply, ChatRequest, Message, ModelRef, Usage
from evalops_core.errors import CallError, PermanentError
from evalops_core.providers.chat import ChatClient
from evalops_core.providers.http import open_session
from evalops_core.providers.retry import CallPolicy
from tests.mock_fixture import MockOpenAI
from tests.mock_openai.answers import answer

QUICK = CallPolicy(timeout_s=10, deadline_s=60, max_attempts=3, base_backoff_s=0.01, max_backoff_s=0.05)
ONCE = CallPolicy(timeout_s=10, deadline_s=60, max_attempts=1)
QUESTION = ChatRequest([Message("system", "Be short."), Message("user", "Who wrote case-0042?")])
SCHEMA = {
    "type": "object",
    "properties": {"clarity": {"type": "integer", "minimum": 1, "maximum": 5}},
    "required": ["clarity"],
    "additionalProperties": False,
}
JUDGE = ChatRequest([Message("user", "Judge case-0007.")], json_schema=SCHEMA)


def complete(
    mock: MockOpenAI, *requests: ChatRequest, policy: CallPolicy = QUICK, name: str = "mock-model"
) -> list[ChatReply]:
    async def scene() -> list[ChatReply]:
        async with open_session(4) as session:
            client: ChatModel = ChatClient(session, ModelRef(name, mock.base_url), None, policy)
            return [await client.complete(request) for request in requests]

    return asyncio.run(scene())


def sent(ref: ModelRef, request: ChatRequest) -> Mapping[str, Any]:
    """The body that an endpoint gets to see: this one answers with it."""

    async def repeat(incoming: web.Request) -> web.Response:
        message = {"role": "assistant", "content": await incoming.text()}
        return web.json_response({"choices": [{"message": message}]})

    async def scene() -> str:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", repeat)
        async with TestServer(app) as server, open_session(1) as session:
            client = ChatClient(session, ref, None, ONCE, base_url=str(server.make_url("/v1")))
            return (await client.complete(request)).text

    return json.loads(asyncio.run(scene()))


def test_a_reply_holds_what_the_endpoint_said(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(resolved_model="mock-model-2026-01-01", answer_chars=30)
    (reply,) = complete(mock_openai, QUESTION)
    text = "Be short.\nWho wrote case-0042?"
    assert reply.text == answer("case-0042", text, 30)
    assert reply.model == "mock-model-2026-01-01"
    assert reply.finish_reason == "stop"
    assert reply.usage == Usage(len(text) // 4 + 4, len(reply.text) // 4 + 1)
    assert reply.attempts == 1
    assert reply.latency_s > 0


def test_tokens_that_the_endpoint_does_not_count_are_unknown(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(usage=False)
    assert complete(mock_openai, QUESTION)[0].usage == Usage(None, None)


def test_latency_is_of_the_successful_attempt_alone(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(fail_status=429, fail_times=1, retry_after="0.2")
    start = time.monotonic()
    (reply,) = complete(mock_openai, QUESTION)
    assert reply.attempts == 2
    assert reply.latency_s <= time.monotonic() - start - 0.2


def test_parameters_of_the_call_win_over_the_models_and_both_are_sent() -> None:
    ref = ModelRef("m", "embedded", {"temperature": 0, "seed": 7, "stop": ("a", "b")})
    body = sent(ref, ChatRequest([Message("user", "hi")], {"temperature": 1, "max_tokens": 5}))
    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 1,
        "seed": 7,
        "stop": ["a", "b"],
        "max_tokens": 5,
    }


def test_a_schema_is_asked_for_as_strict_structured_output() -> None:
    body = sent(ModelRef("m", "embedded"), JUDGE)
    assert body["response_format"]["type"] == "json_schema"
    asked = body["response_format"]["json_schema"]
    assert (asked["strict"], asked["schema"]) == (True, SCHEMA)
    assert asked["name"].isidentifier()


@pytest.mark.parametrize(
    ("content", "expected"),
    [("parts", "Answer to case-0042: "), ("null", ""), ("empty", ""), ("refusal", "I cannot help"), ("tool_call", "A")],
)
def test_every_shape_of_an_answer_has_its_text(mock_openai: MockOpenAI, content: str, expected: str) -> None:
    mock_openai.configure(content=content)
    (reply,) = complete(mock_openai, QUESTION)
    assert reply.text.startswith(expected)
    assert bool(reply.text) == bool(expected)


def test_an_answer_that_the_provider_filtered_away_is_an_error(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(content="filtered")
    with pytest.raises(PermanentError, match="filtered"):
        complete(mock_openai, QUESTION)
    assert len(mock_openai.requests()) == 1


def test_an_endpoint_that_knows_schemas_answers_by_them(mock_openai: MockOpenAI) -> None:
    (reply,) = complete(mock_openai, JUDGE)
    assert 1 <= json.loads(reply.text)["clarity"] <= 5


def test_an_endpoint_without_schemas_is_asked_plainly_and_never_bothered_again(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(takes_schema=False)
    first, second = complete(mock_openai, JUDGE, JUDGE, name="mock-judge", policy=ONCE)
    assert [request["outcome"] for request in mock_openai.requests()] == ["400", "ok", "ok"]
    assert (first.attempts, second.attempts) == (2, 1)


def test_an_error_counts_the_attempt_with_the_schema_too(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(takes_schema=False, content="filtered")
    with pytest.raises(PermanentError) as caught:
        complete(mock_openai, JUDGE)
    assert caught.value.attempts == len(mock_openai.requests()) == 2


def test_a_parameter_of_ours_that_the_endpoint_refuses_is_left_out_from_then_on(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(
        fail_status=400, fail_times=1, fail_message="'temperature' does not support 0 with this model"
    )
    first, second = (replace(QUESTION, parameters={"temperature": 0, "top_p": 1}) for _ in range(2))
    replies = complete(mock_openai, first, second, policy=ONCE)
    assert [reply.attempts for reply in replies] == [2, 1]
    assert [request["outcome"] for request in mock_openai.requests()] == ["400", "ok", "ok"]


def test_a_parameter_that_the_suite_s_author_chose_is_never_left_out(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(
        fail_status=400, fail_times=1, fail_message="'temperature' does not support 0 with this model"
    )

    async def scene() -> None:
        async with open_session(1) as session:
            ref = ModelRef("mock-model", mock_openai.base_url, {"temperature": 0})
            await ChatClient(session, ref, None, ONCE).complete(QUESTION)

    with pytest.raises(PermanentError, match="does not support 0"):
        asyncio.run(scene())
    assert len(mock_openai.requests()) == 1


def test_a_400_for_another_reason_stays_an_error(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(fail_status=400, fail_message="the context is too long")
    with pytest.raises(PermanentError, match="too long"):
        complete(mock_openai, JUDGE)
    assert len(mock_openai.requests()) == 1


def test_the_embedded_models_ref_is_kept_while_its_port_is_called(mock_openai: MockOpenAI) -> None:
    async def scene() -> tuple[ModelRef, str]:
        async with open_session(1) as session:
            client = ChatClient(session, ModelRef("m", "embedded"), None, QUICK, base_url=mock_openai.base_url)
            return client.ref, (await client.complete(QUESTION)).text

    ref, text = asyncio.run(scene())
    assert ref == ModelRef("m", "embedded")
    assert text


def test_clients_work_in_every_loop_that_has_a_session(mock_openai: MockOpenAI) -> None:
    assert complete(mock_openai, QUESTION)[0].text == complete(mock_openai, QUESTION)[0].text


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_message = st.fixed_dictionaries(
    {}, optional={"content": _json, "refusal": _json, "tool_calls": _json, "role": st.just("assistant")}
)
_completion = st.fixed_dictionaries(
    {},
    optional={
        "choices": st.lists(
            st.fixed_dictionaries({}, optional={"message": _message | _json, "finish_reason": _json}) | _json,
            max_size=2,
        )
        | _json,
        "usage": st.fixed_dictionaries({}, optional={"prompt_tokens": _json, "completion_tokens": _json}) | _json,
        "model": _json,
        "error": _json,
    },
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=_completion | _json)
def test_whatever_json_comes_back_a_call_ends_in_a_reply_or_a_typed_error(mock_process: MockOpenAI, body: Any) -> None:
    mock_process.reset()
    mock_process.configure(raw_body=json.dumps(body))
    try:
        (reply,) = complete(mock_process, QUESTION, policy=ONCE)
    except CallError:
        return
    assert isinstance(reply.text, str)
    assert isinstance(reply.model, str)
    assert all(count is None or count >= 0 for count in (reply.usage.prompt_tokens, reply.usage.completion_tokens))
