"""The ping: what counts as taken, how long it may take, and that nothing said of it holds the address."""

import os
import socket
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from evalops_core.errors import ConfigError
from evalops_core.providers.heartbeat import Heartbeat
from tests.providers.listener import Listener, listening

TOKEN = "token-7f3a"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


def heartbeat(url: str, timeout_s: float = 10.0) -> Heartbeat:
    return Heartbeat(SecretStr(f"{url}/{TOKEN}?key={TOKEN}"), timeout_s)


@pytest.mark.parametrize("status", [200, 204])
def test_an_answer_of_the_two_hundreds_is_a_ping_that_was_taken(listener: Listener, status: int) -> None:
    listener.status = status
    assert heartbeat(listener.url).ping() is None
    assert listener.asked == [f"GET /{TOKEN}?key={TOKEN}"]


@pytest.mark.parametrize("status", [301, 404, 429, 500])
def test_any_other_answer_is_none(listener: Listener, status: int) -> None:
    listener.status, listener.headers = status, {"Location": f"{listener.url}/elsewhere"}
    assert heartbeat(listener.url).ping() == f"the answer was {status}"
    assert len(listener.asked) == 1, "a redirect is not followed"


def test_a_server_that_hangs_up_or_is_not_there_is_named_without_its_address(listener: Listener) -> None:
    listener.status = None
    assert heartbeat(listener.url).ping() == "it could not be reached (ServerDisconnectedError)"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        assert heartbeat(url).ping() == "it could not be reached (Connection refused)"


def test_a_server_that_never_answers_does_not_hold_up_for_longer_than_the_bound() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert heartbeat(f"http://127.0.0.1:{port}", timeout_s=0.2).ping() == "there was no answer within 0.2 s"


@pytest.mark.parametrize(
    "url", [f"hc-ping.example/{TOKEN}", f"ftp://example.org/{TOKEN}", f"http:///{TOKEN}", f"//[{TOKEN}"]
)
def test_what_is_no_address_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^EVALOPS_HEARTBEAT_URL: expected an http:// or https:// address$"):
        Heartbeat(SecretStr(url))
