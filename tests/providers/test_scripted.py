import asyncio

import pytest

from evalops_core.domain.chat import ChatModel, ChatReply, ChatRequest, Message, Usage
from evalops_core.errors import PermanentError, TransientError
from evalops_core.providers.scripted import ScriptedChat


def request(text: str) -> ChatRequest:
    return ChatRequest([Message("user", text)])


def test_a_function_answers_each_request() -> None:
    model: ChatModel = ScriptedChat(lambda asked: asked.messages[0].content.upper())
    reply = asyncio.run(model.complete(request("hello there")))
    assert (reply.text, reply.usage) == ("HELLO THERE", Usage(2, 2))


def test_a_list_is_answered_in_order_and_then_refuses() -> None:
    ready = ChatReply("second", "m-1", "length", Usage(), 0.5)
    model = ScriptedChat(["first", ready, TransientError("busy")])
    assert asyncio.run(model.complete(request("a"))).text == "first"
    assert asyncio.run(model.complete(request("b"))) == ready
    with pytest.raises(TransientError, match="busy"):
        asyncio.run(model.complete(request("c")))
    with pytest.raises(PermanentError, match="no answer left"):
        asyncio.run(model.complete(request("d")))
    assert model.calls == 4
    assert model.requests[2] == request("c")


def test_an_async_function_may_keep_calls_waiting() -> None:
    async def scene() -> ScriptedChat:
        everybody = asyncio.Event()

        async def answer(_: ChatRequest) -> str:
            if model.most_in_flight == 5:
                everybody.set()
            await everybody.wait()
            return "done"

        model = ScriptedChat(answer)
        await asyncio.gather(*(model.complete(request(str(at))) for at in range(5)))
        return model

    model = asyncio.run(scene())
    assert (model.calls, model.most_in_flight) == (5, 5)
