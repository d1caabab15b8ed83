"""A chat model that says what it is told to: for tests and for dry runs without a model.

What belongs here: playing a script. What does not: anything that real models share (http, retry).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from inspect import isawaitable
from typing import Union

from evalops_core.domain.chat import ChatReply, ChatRequest, ModelRef, Usage
from evalops_core.errors import PermanentError

Line = Union[str, ChatReply, Exception]
Script = Union[Callable[[ChatRequest], Union[Line, Awaitable[Line]]], Sequence[Line]]

SCRIPTED = ModelRef(name="scripted", base_url="scripted")


class ScriptedChat:
    """A `ChatModel` that answers from `script`: a function of the request (may be async), or answers one by one.

    A string is replied with its words counted as tokens, a ChatReply as it is, an exception raised. Once a sequence
    is used up, every call is a PermanentError. `requests` are all that came, `most_in_flight` how many at a time.
    """

    def __init__(self, script: Script, ref: ModelRef = SCRIPTED) -> None:
        self._answer = script if callable(script) else _one_by_one(iter(script))
        self._ref = ref
        self._in_flight = 0
        self.requests: list[ChatRequest] = []
        self.most_in_flight = 0

    @property
    def ref(self) -> ModelRef:
        return self._ref

    @property
    def calls(self) -> int:
        return len(self.requests)

    async def complete(self, request: ChatRequest) -> ChatReply:
        self.requests.append(request)
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            await asyncio.sleep(0)  # a real model lets others run meanwhile
            answer = self._answer(request)
            return self._reply(request, await answer if isawaitable(answer) else answer)
        finally:
            self._in_flight -= 1

    def _reply(self, request: ChatRequest, line: Line) -> ChatReply:
        if isinstance(line, Exception):
            raise line
        if isinstance(line, ChatReply):
            return line
        usage = Usage(sum(len(message.content.split()) for message in request.messages), len(line.split()))
        return ChatReply(line, self._ref.name, "stop", usage, latency_s=0.0)


def _one_by_one(lines: Iterator[Line]) -> Callable[[ChatRequest], Line]:
    return lambda _: next(lines, PermanentError("the script has no answer left"))
