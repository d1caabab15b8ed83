"""The chat client for OpenAI-compatible endpoints: what is asked of them, and how their answers are read.

What belongs here: the request's body and the reply's meaning. What does not: HTTP and retries (http, retry), prices.
Works with OpenAI, vLLM, llama.cpp, Ollama, LM Studio, OpenRouter and Azure-style gateways alike, so it takes what is
there and insists on little: `choices[0].message` alone.
"""

from collections.abc import Mapping
from typing import Any

import aiohttp
from pydantic import SecretStr

from evalops_core.domain.chat import ChatReply, ChatRequest, ModelRef, Usage
from evalops_core.domain.json import Json
from evalops_core.errors import CallError
from evalops_core.providers.foreign import count, first, items, mapping, string
from evalops_core.providers.http import Answer, Endpoint
from evalops_core.providers.pace import Allowance, Pace
from evalops_core.providers.retry import BeforeRetry, CallPolicy, deadline_of

_SCHEMA_WORDS = ("response_format", "json_schema", "structured output", "guided", "grammar")


class ChatClient:
    """A `ChatModel` on `POST {base_url}/chat/completions`.

    `session` belongs to the running event loop (see `http.open_session`) and is shared with other clients. `base_url`
    is where to call, if `ref` does not say so itself (the embedded model's ref says `embedded`, its server has a
    port). ConfigError where it is no address. `pace` and `allowance`: see `Endpoint`.

    An endpoint that refuses structured output, or a parameter of the request (400 or 422 naming it: reasoning models
    take no temperature), is asked once more without, and then never again by this client; whoever asks for a schema
    checks the reply in any case.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        ref: ModelRef,
        api_key: SecretStr | None,
        policy: CallPolicy,
        *,
        base_url: str | None = None,
        pace: Pace | None = None,
        allowance: Allowance | None = None,
    ) -> None:
        self._ref = ref
        self._endpoint = Endpoint(
            session, base_url or ref.base_url, "chat/completions", api_key, policy, pace, allowance
        )
        self._takes_schema = True
        self._refused: set[str] = set()

    @property
    def ref(self) -> ModelRef:
        return self._ref

    async def complete(self, request: ChatRequest, *, before_retry: BeforeRetry | None = None) -> ChatReply:
        """See `ChatModel`; `before_retry`: see `with_retries`.

        The text is the message's content; without one, its refusal, or the arguments of its first tool call (so that
        a suite may pass `tools`). A reply without any of these is an empty text (a reasoning model that ran out of
        tokens), unless the endpoint says that it filtered it: PermanentError.
        """
        deadline = deadline_of(self._endpoint.policy)
        spent = 0
        while True:
            schema = request.json_schema if self._takes_schema else None
            try:
                body = self._body(request, schema)
                answer = await self._endpoint.post(body, deadline=deadline, before_retry=before_retry)
                return self._reply(answer, spent)
            except CallError as error:
                spent += error.attempts
                if not self._learns(error, request, schema):
                    error.attempts = spent
                    raise

    def _learns(self, error: CallError, request: ChatRequest, schema: Mapping[str, Json] | None) -> bool:
        """Whether the endpoint refused something that can be left out; it then stays out for this client's life.

        That is the schema, or a parameter of the request itself. What the suite's author chose (the ref's parameters)
        is never left out: the evaluation would be of something else.
        """
        if error.status not in (400, 422):
            return False
        if schema is not None and _names_schema(str(error)):
            self._takes_schema = False
            return True
        own = request.parameters.keys() - self._ref.parameters.keys() - self._refused
        named = {name for name in own if name in str(error)}
        self._refused |= named
        return bool(named)

    def _body(self, request: ChatRequest, schema: Mapping[str, Json] | None) -> dict[str, Json]:
        own = {name: value for name, value in request.parameters.items() if name not in self._refused}
        asked = {**self._ref.parameters, **own}
        body: dict[str, Json] = {
            "model": self._ref.name,
            "messages": [{"role": message.role, "content": message.content} for message in request.messages],
            # None takes a default back: some models refuse a temperature, whatever it is.
            **{name: value for name, value in asked.items() if value is not None},
        }
        if schema is not None:
            wanted: dict[str, Json] = {"name": "answer", "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": wanted}
        return body

    def _reply(self, answer: Answer, spent: int = 0) -> ChatReply:
        body = answer.body
        choice = mapping(first(body.get("choices")))
        message = mapping(choice.get("message"))
        if not message:
            raise self._endpoint.error(
                "answered 200 with no choices[0].message: is it a chat endpoint?", status=200, maybe_billed=True
            )
        finish_reason = string(choice.get("finish_reason"))
        text = _text(message)
        if not text and finish_reason == "content_filter":
            filtered = "filtered its answer (finish_reason content_filter)"
            raise self._endpoint.error(filtered, status=200, maybe_billed=True)
        usage = mapping(body.get("usage"))
        return ChatReply(
            text=text,
            model=string(body.get("model")) or self._ref.name,
            finish_reason=finish_reason,
            usage=Usage(count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))),
            latency_s=answer.latency_s,
            attempts=spent + answer.attempts,
        )


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):  # content parts, as some gateways pass them on
        content = "".join(string(mapping(part).get("text")) or "" for part in items(message.get("content")))
    function = mapping(mapping(first(message.get("tool_calls"))).get("function"))
    return string(content) or string(message.get("refusal")) or string(function.get("arguments")) or ""


def _names_schema(message: str) -> bool:
    lowered = message.lower()
    return any(word in lowered for word in _SCHEMA_WORDS)
