import asyncio
from datetime import datetime, timezone
from typing import Any

import pytest
from pydantic import SecretStr

from evalops_core.domain.look import Look
from evalops_core.providers.http import open_session
from evalops_core.providers.look import LookedAt, look_of
from evalops_core.providers.mail import ResendMailer
from evalops_core.providers.retry import CallPolicy
from tests.mock_fixture import MockOpenAI
from tests.mock_resend.fixture import MockResend, mock_resend, resend_process

__all__ = ["mock_resend", "resend_process"]


NOON = datetime(2026, 11, 25, 12, 0, 0, 500_000, tzinfo=timezone.utc)


def look(base_url: str, key: str | None = None) -> Look:
    async def once() -> Look:
        async with open_session(1) as session:
            secret = SecretStr(key) if key else None
            return await LookedAt(session, base_url, "models", secret, CallPolicy()).look()

    return asyncio.run(once())


def test_an_endpoint_s_models_are_listed_and_nothing_is_asked_of_them(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(require_key="sk-right")
    seen = look(mock_openai.base_url, "sk-right")
    assert (seen.status, set(seen.listed or ())) == (200, {"mock-model", "mock-judge", "mock-embedding"})
    assert seen.host == f"127.0.0.1:{mock_openai.port}"
    assert mock_openai.requests() == []


def test_a_refusal_s_words_are_kept_without_the_key_that_it_repeats(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(require_key="sk-right", echo_headers=True)
    seen = look(mock_openai.base_url, "sk-wrong-key")
    assert seen.status == 401
    assert "The server was told to fail (Authorization: Bearer ***" in seen.said
    assert "sk-wrong-key" not in repr(seen)


def test_nobody_who_answers_is_no_status() -> None:
    seen = look("http://127.0.0.1:9/v1", "sk-secret")
    assert (seen.host, seen.status, seen.listed) == ("127.0.0.1:9", None, None)
    assert seen.said == "could not be reached, or hung up: Connection refused"


def test_a_mail_provider_lists_its_domains_by_name_and_tells_its_time(mock_resend: MockResend) -> None:
    seen = ResendMailer(SecretStr(mock_resend.api_key), "a@example.com", mock_resend.base_url).look()
    assert (seen.status, (seen.listed or {}).get("example.com"), seen.whole) == (200, "verified", True)
    assert seen.ahead_s == 0  # this host's own clock, however long the answer took
    assert mock_resend.mails() == []


def test_a_mail_key_that_may_only_send_is_known_by_its_code(mock_resend: MockResend) -> None:
    mock_resend.configure(restricted=True)
    seen = ResendMailer(SecretStr(mock_resend.api_key), "a@example.com", mock_resend.base_url).look()
    assert (seen.status, seen.code, seen.listed) == (401, "restricted_api_key", None)


def test_a_mail_provider_out_of_reach_or_with_a_key_in_its_words_shows_no_key(mock_resend: MockResend) -> None:
    mock_resend.configure(echo_key=True)
    refused = ResendMailer(SecretStr("re_wrong_key"), "a@example.com", mock_resend.base_url).look()
    away = ResendMailer(SecretStr("re_wrong_key"), "a@example.com", "http://127.0.0.1:9").look()
    assert (refused.status, refused.code, away.status) == (403, "invalid_api_key", None)
    assert "re_wrong_key" not in repr((refused, away))


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected"),
    [
        (200, b"<html>", {"Content-Type": "text/html"}, Look("h", 200, "a web page")),
        (200, b"{}", {}, Look("h", 200, "no list")),
        (200, b'{"data": [], "has_more": true}', {}, Look("h", 200, listed={}, whole=False)),
        (308, b"", {"Location": "https://x/"}, Look("h", 308, "a redirect to https://x/")),
        (500, b"\xff", {"Date": "yesterday"}, Look("h", 500)),
        (404, b'{"detail": "Not Found"}', {}, Look("h", 404, "Not Found")),
        (401, b'{"error": "no key"}', {}, Look("h", 401, "no key")),
        (401, b'{"error": {"message": "no", "code": "bad"}}', {}, Look("h", 401, "no", "bad")),
    ],
)
def test_answers_of_every_shape_are_read(status: int, body: bytes, headers: Any, expected: Look) -> None:
    assert look_of("h", status, body, headers, NOON) == expected


def test_a_clock_that_differs_is_told_from_an_answer_that_took_its_time() -> None:
    ahead = look_of("h", 404, b"", {"Date": "Wed, 25 Nov 2026 11:58:00 GMT"}, NOON).ahead_s
    assert ahead == pytest.approx(119.5)
    behind = look_of("h", 404, b"", {"Date": "Fri, 25 Nov 2089 12:00:00 GMT"}, NOON).ahead_s
    assert behind is not None
    assert behind < -1e9
