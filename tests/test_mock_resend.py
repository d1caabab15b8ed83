"""The mock itself: what tests rely on when they read which mails it took."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from tests.mock_resend.fixture import MockResend, mock_resend, resend_process, start_mock_resend
from tests.mock_resend.settings import Behaviour

__all__ = ["mock_resend", "resend_process"]

BODY = {"from": "a@b.example", "to": "c@b.example", "subject": "s", "text": "t"}
DIRECT = build_opener(ProxyHandler({}))


def ask(mock: MockResend, body: Any = BODY, *, key: str | None = None, bearer: str | None = None) -> dict[str, Any]:
    """The answer's JSON, an error's too."""
    headers = {"Authorization": f"Bearer {mock.api_key}" if bearer is None else bearer}
    if key is not None:
        headers["Idempotency-Key"] = key
    request = Request(f"{mock.base_url}/emails", json.dumps(body).encode(), headers)  # noqa: S310  # http://
    try:
        with DIRECT.open(request, timeout=30) as answer:
            return json.load(answer)
    except HTTPError as error:
        return {**json.load(error), "headers": dict(error.headers)}


def test_a_mail_is_recorded_as_it_came(mock_resend: MockResend) -> None:
    taken = ask(mock_resend, {**BODY, "html": "<p>h</p>", "headers": {"X": "y"}}, key="k")
    (mail,) = mock_resend.mails()
    assert (mail["id"], mail["key"], mail["to"]) == (taken["id"], "k", ["c@b.example"])
    assert (mail["subject"], mail["html"], mail["text"], mail["headers"]) == ("s", "<p>h</p>", "t", {"X": "y"})
    assert "Authorization" not in mail["http_headers"]


def test_the_same_request_under_the_same_key_is_one_mail(mock_resend: MockResend) -> None:
    assert ask(mock_resend, key="k") == ask(mock_resend, key="k")
    assert len(mock_resend.mails()) == 1
    assert mock_resend.outcomes() == ["sent", "repeated"]


def test_without_a_key_every_request_is_a_mail(mock_resend: MockResend) -> None:
    assert ask(mock_resend) != ask(mock_resend)
    assert len(mock_resend.mails()) == 2


def test_another_body_under_the_same_key_is_a_conflict(mock_resend: MockResend) -> None:
    ask(mock_resend, key="k")
    answer = ask(mock_resend, {**BODY, "text": "other"}, key="k")
    assert (answer["statusCode"], answer["name"]) == (409, "invalid_idempotent_request")
    assert len(mock_resend.mails()) == 1


def test_the_same_key_while_the_first_request_is_in_flight_is_a_conflict(mock_resend: MockResend) -> None:
    mock_resend.configure(hold="before")
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(ask, mock_resend, key="k")
        mock_resend.wait_for(in_flight=1)
        answer = ask(mock_resend, key="k")
        mock_resend.configure(hold="")
        assert first.result(30)["id"] == mock_resend.mails()[0]["id"]
    assert (answer["statusCode"], answer["name"]) == (409, "concurrent_idempotent_requests")


def test_a_key_is_forgotten_after_its_time(mock_resend: MockResend) -> None:
    mock_resend.configure(keys_last_s=0)
    assert ask(mock_resend, key="k") != ask(mock_resend, key="k")
    assert mock_resend.stats()["mails_again"] == {"k": 1}


def test_a_request_that_fails_leaves_its_key_free(mock_resend: MockResend) -> None:
    mock_resend.configure(fault="refuse", fault_times=1)
    assert ask(mock_resend, key="k")["statusCode"] == 500
    assert "id" in ask(mock_resend, {**BODY, "text": "other"}, key="k")


def test_a_held_request_is_sent_although_its_client_is_gone(mock_resend: MockResend) -> None:
    mock_resend.configure(hold="before")
    raw = json.dumps(BODY).encode()
    head = f"POST /emails HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {mock_resend.api_key}\r\n"
    with socket.create_connection(("127.0.0.1", mock_resend.port)) as client:
        client.sendall(f"{head}Idempotency-Key: k\r\nContent-Length: {len(raw)}\r\n\r\n".encode() + raw)
        mock_resend.wait_for(in_flight=1)
    mock_resend.configure(hold="")
    assert mock_resend.wait_for(mails=1)["mails"] == 1
    assert ask(mock_resend, key="k")["id"] == mock_resend.mails()[0]["id"]


@pytest.mark.parametrize("bearer", ["", "Basic abc", "Bearer "])
def test_a_request_without_a_bearer_key_is_refused(mock_resend: MockResend, bearer: str) -> None:
    assert ask(mock_resend, bearer=bearer)["name"] == "missing_api_key"
    assert mock_resend.outcomes() == ["401"]


def test_a_request_with_another_key_is_refused(mock_resend: MockResend) -> None:
    assert ask(mock_resend, bearer="Bearer re_other")["name"] == "invalid_api_key"
    assert mock_resend.outcomes() == ["403"]


@pytest.mark.parametrize(
    "body",
    [
        {**BODY, "to": []},
        {name: value for name, value in BODY.items() if name != "from"},
        {**BODY, "text": ""},
        {**BODY, "subject": "a\nBcc: b"},
        [],
    ],
)
def test_a_body_that_is_no_mail_is_refused(mock_resend: MockResend, body: Any) -> None:
    assert ask(mock_resend, body)["statusCode"] == 422
    assert mock_resend.mails() == []


def test_a_fault_hits_as_often_as_it_is_told_to(mock_resend: MockResend) -> None:
    mock_resend.configure(fault="refuse", fault_times=2, status=429, name="rate_limit_exceeded", retry_after="3")
    answers = [ask(mock_resend, key="k") for _ in range(3)]
    assert [answer.get("statusCode") for answer in answers] == [429, 429, None]
    assert answers[0]["headers"]["retry-after"] == "3"
    assert mock_resend.outcomes() == ["429", "429", "sent"]


@pytest.mark.parametrize(("fault", "mails"), [("reset_before", 0), ("reset_after", 1)])
def test_a_reset_says_whether_the_mail_was_taken(mock_resend: MockResend, fault: str, mails: int) -> None:
    mock_resend.configure(fault=fault)
    with pytest.raises(ConnectionResetError):
        ask(mock_resend)
    assert mock_resend.stats()["mails"] == mails
    assert mock_resend.outcomes() == [fault]


def test_a_reset_forgets_everything(mock_resend: MockResend) -> None:
    mock_resend.configure(api_key="re_other")
    ask(mock_resend, key="k", bearer="Bearer re_other")
    mock_resend.reset()
    assert (mock_resend.mails(), mock_resend.requests()) == ([], [])
    assert "id" in ask(mock_resend, {**BODY, "text": "other"}, key="k")


def test_waiting_for_what_does_not_come_fails(mock_resend: MockResend) -> None:
    with pytest.raises(AssertionError, match="mails"):
        mock_resend.wait_for(timeout_s=0.05, mails=1)


def test_it_ends_with_whoever_started_it() -> None:
    process, mock = start_mock_resend("--fault", "refuse")
    with process:
        assert ask(mock)["statusCode"] == 500
        assert process.stdin
        process.stdin.close()
        assert process.wait(timeout=30) == 0


@pytest.mark.parametrize("setting", [{"rate": 1}, {"fault": "flood"}, {"hold": "ever"}])
def test_an_unknown_setting_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no such"):
        Behaviour().changed(setting)
