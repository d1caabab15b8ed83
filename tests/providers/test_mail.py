import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import pytest
import resend
from pydantic import SecretStr

from evalops_core.domain.mail import Deferred, Image, Mail, Mailer, Refused, Sent
from evalops_core.errors import ConfigError
from evalops_core.providers.mail import LONGEST_PAUSE_S, ResendMailer
from tests.mock_resend.fixture import MockResend, mock_resend, resend_process

__all__ = ["mock_resend", "resend_process"]

MAIL = Mail("Fell − 0.60", '<p>Fell</p><img src="cid:trend-7">', "Fell\n", (Image("trend-7", b"\x89PNG\x00", "x"),))


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def secret_never_logged(caplog: pytest.LogCaptureFixture, mock_resend: MockResend) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    assert mock_resend.api_key not in caplog.text


def mailer(mock: MockResend, *, key: str | None = None, timeout_s: float = 10.0, sender: str = "a@b.example") -> Mailer:
    return ResendMailer(SecretStr(key or mock.api_key), sender, mock.base_url, timeout_s)


def send(mock: MockResend, key: str = "k", *, mail: Mail = MAIL, timeout_s: float = 10.0) -> Sent | Deferred | Refused:
    return mailer(mock, timeout_s=timeout_s).send(mail, "team@b.example", key)


def test_a_mail_arrives_as_it_was_composed(mock_resend: MockResend) -> None:
    outcome = mailer(mock_resend, sender="EvalOps <a@b.example>").send(MAIL, "team@b.example", "incident-7/firing")
    (mail,) = mock_resend.mails()
    assert outcome == Sent(mail["id"])
    assert {name: mail[name] for name in ("from", "to", "subject", "html", "text", "key")} == {
        "from": "EvalOps <a@b.example>",
        "to": ["team@b.example"],
        "subject": MAIL.subject,
        "html": MAIL.html,
        "text": MAIL.text,
        "key": "incident-7/firing",
    }
    assert mail["headers"] == {"Auto-Submitted": "auto-generated"}
    assert mail["attachments"] == [
        {
            "filename": "trend-7.png",
            "content": "iVBORwA=",
            "content_type": "image/png",
            "content_id": "trend-7",
        }
    ]


def test_a_mail_without_pictures_has_no_attachments(mock_resend: MockResend) -> None:
    assert isinstance(send(mock_resend, mail=Mail("s", "<p>h</p>", "t")), Sent)
    assert mock_resend.mails()[0]["attachments"] == []


def test_the_same_mail_under_the_same_key_arrives_once(mock_resend: MockResend) -> None:
    first = send(mock_resend)
    assert send(mock_resend) == first
    assert len(mock_resend.mails()) == 1


def test_a_stored_mail_is_the_same_request_again(mock_resend: MockResend) -> None:
    first = send(mock_resend)
    assert send(mock_resend, mail=Mail.from_json(MAIL.as_json())) == first


def test_another_mail_under_the_same_key_is_refused(mock_resend: MockResend) -> None:
    send(mock_resend)
    outcome = send(mock_resend, mail=Mail("another", "<p>h</p>", "t"))
    assert isinstance(outcome, Refused)
    assert "answered 409 invalid_idempotent_request" in outcome.reason
    assert len(mock_resend.mails()) == 1


def test_a_mail_that_is_being_sent_already_is_deferred(mock_resend: MockResend) -> None:
    mock_resend.configure(hold="before")
    with ThreadPoolExecutor(1) as other:
        first = other.submit(post, mock_resend)
        mock_resend.wait_for(in_flight=1)
        outcome = send(mock_resend)
        mock_resend.configure(hold="")
        first.result(timeout=30)
    assert isinstance(outcome, Deferred)
    assert "answered 409 concurrent_idempotent_requests" in outcome.reason
    assert len(mock_resend.mails()) == 1


def post(mock: MockResend) -> None:
    """`MAIL` under the key `k` as another process sends it: this one's mailers wait for each other."""
    script = (
        "import sys; from pydantic import SecretStr; from evalops_core.providers.mail import ResendMailer\n"
        "from tests.providers.test_mail import MAIL\n"
        "ResendMailer(SecretStr(sys.argv[1]), 'a@b.example', sys.argv[2], 60).send(MAIL, 'team@b.example', 'k')"
    )
    command = [sys.executable, "-c", script, mock.api_key, mock.base_url]
    subprocess.run(command, cwd=Path(__file__).parents[2], timeout=90, check=True)


@pytest.mark.parametrize("fault", ["reset_after", "hang_after", "trickle", "truncated", "web_page", "raw"])
def test_a_mail_whose_answer_was_lost_arrives_once(mock_resend: MockResend, fault: str) -> None:
    mock_resend.configure(fault=fault, fault_times=1, trickle_s=5.0)
    assert isinstance(send(mock_resend, timeout_s=0.5), Deferred)
    (mail,) = mock_resend.mails()
    assert send(mock_resend) == Sent(mail["id"])
    assert len(mock_resend.mails()) == 1


@pytest.mark.parametrize("fault", ["reset_before", "hang_before"])
def test_a_mail_that_was_not_taken_is_deferred(mock_resend: MockResend, fault: str) -> None:
    mock_resend.configure(fault=fault)
    assert isinstance(send(mock_resend, timeout_s=0.5), Deferred)
    assert mock_resend.mails() == []


def test_an_answer_that_trickles_in_is_waited_for_no_longer_than_agreed(mock_resend: MockResend) -> None:
    mock_resend.configure(fault="trickle", trickle_s=0.3)  # 46 bytes: every read comes in time, the whole does not
    assert send(mock_resend, timeout_s=0.9) == Deferred("127.0.0.1 did not answer within 0.9 s")


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (500, "application_error"),
        (502, "bad_gateway"),
        (503, "x"),
        (429, "rate_limit_exceeded"),
        (429, "daily_quota_exceeded"),
        (408, "x"),
        (425, "x"),
    ],
)
def test_what_may_pass_is_deferred(mock_resend: MockResend, status: int, name: str) -> None:
    mock_resend.configure(fault="refuse", status=status, name=name, message="Not now")
    assert send(mock_resend) == Deferred(f"127.0.0.1 answered {status} {name}: Not now")


@pytest.mark.parametrize(
    ("status", "name"),
    [(400, "validation_error"), (401, "restricted_api_key"), (403, "validation_error"), (404, "not_found"),
     (409, "invalid_idempotent_request"), (413, "x"), (422, "validation_error"), (451, "security_error")],
)  # fmt: skip
def test_what_will_not_pass_is_refused(mock_resend: MockResend, status: int, name: str) -> None:
    mock_resend.configure(fault="refuse", status=status, name=name, message="The domain is not verified")
    assert send(mock_resend) == Refused(f"127.0.0.1 answered {status} {name}: The domain is not verified")


def test_a_wrong_key_is_refused(mock_resend: MockResend) -> None:
    outcome = mailer(mock_resend, key="re_another").send(MAIL, "team@b.example", "k")
    assert outcome == Refused("127.0.0.1 answered 403 invalid_api_key: API key is invalid")


def test_a_key_that_is_too_long_is_refused(mock_resend: MockResend) -> None:
    assert isinstance(send(mock_resend, "k" * 257), Refused)


@pytest.mark.parametrize(
    ("raw_body", "reason"),
    [
        ("null", "cannot be read"),
        ("[]", "without an id"),
        ('{"id": 7}', "without an id"),
        ('{"statusCode": 500, "name": "x", "message": "later"}', "answered 500 x: later"),
        ('{"statusCode": 500, "name": {}, "message": []}', "cannot be read"),
        ("[" * 100_000, "cannot be read"),
    ],
    ids=["null", "list", "number", "error in a 200", "error of other types", "deep"],
)
def test_an_answer_that_makes_no_sense_is_deferred(mock_resend: MockResend, raw_body: str, reason: str) -> None:
    mock_resend.configure(fault="raw", raw_body=raw_body)
    outcome = send(mock_resend)
    assert isinstance(outcome, Deferred)
    assert reason in outcome.reason


def test_a_server_that_is_not_there_defers(mock_resend: MockResend) -> None:
    outcome = ResendMailer(SecretStr("re_x"), "a@b.example", "http://127.0.0.1:1").send(MAIL, "team@b.example", "k")
    assert isinstance(outcome, Deferred)
    assert "could not be reached" in outcome.reason


@pytest.mark.parametrize(("said", "pause_s"), [("7", 7.0), ("1e300", LONGEST_PAUSE_S), ("soon", None), ("-3", 0.0)])
def test_the_pause_that_is_asked_for_is_passed_on(mock_resend: MockResend, said: str, pause_s: float | None) -> None:
    mock_resend.configure(fault="refuse", status=429, name="rate_limit_exceeded", retry_after=said)
    outcome = send(mock_resend)
    assert isinstance(outcome, Deferred)
    assert outcome.retry_after_s == pause_s


def test_the_pause_may_be_asked_for_as_a_date(mock_resend: MockResend) -> None:
    at = format_datetime(datetime.now(timezone.utc) + timedelta(hours=1), usegmt=True)
    mock_resend.configure(fault="refuse", status=503, name="x", retry_after=at)
    outcome = send(mock_resend)
    assert isinstance(outcome, Deferred)
    assert outcome.retry_after_s == pytest.approx(3600, abs=60)


@pytest.mark.usefixtures("secret_never_logged")
@pytest.mark.parametrize("status", [403, 500])
def test_the_key_is_in_no_reason_and_no_log(mock_resend: MockResend, status: int) -> None:
    mock_resend.configure(fault="refuse", status=status, message="No\nsuch\x00 key", echo_key=True)
    outcome = send(mock_resend)
    assert not isinstance(outcome, Sent)
    assert outcome.reason == f"127.0.0.1 answered {status} application_error: No such key (Bearer …)"


def test_a_reason_is_short(mock_resend: MockResend) -> None:
    mock_resend.configure(fault="refuse", message="x" * 100_000)
    outcome = send(mock_resend)
    assert not isinstance(outcome, Sent)
    assert len(outcome.reason) == 300


def test_the_sdks_own_settings_are_as_before(mock_resend: MockResend) -> None:
    before = resend.api_key, resend.api_url, resend.default_http_client
    send(mock_resend)
    mock_resend.configure(fault="refuse")
    send(mock_resend)
    assert (resend.api_key, resend.api_url, resend.default_http_client) == before


def test_mailers_of_several_threads_keep_their_own_keys(mock_resend: MockResend) -> None:
    right, wrong = mailer(mock_resend), mailer(mock_resend, key="re_another")
    mock_resend.configure(hold="before")
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(right.send, MAIL, "team@b.example", "first")
        mock_resend.wait_for(in_flight=1)
        second = threads.submit(wrong.send, MAIL, "team@b.example", "second")
        with pytest.raises(AssertionError, match="requests"):  # the second call waits for the first one's end
            mock_resend.wait_for(requests=2, timeout_s=0.5)
        mock_resend.configure(hold="")
        outcomes = [first.result(30), second.result(30)]
    assert [type(outcome) for outcome in outcomes] == [Sent, Refused]
    assert mock_resend.outcomes() == ["sent", "403"]


def test_no_proxy_is_used_to_reach_this_machine(mock_resend: MockResend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:1")
    assert isinstance(send(mock_resend), Sent)


def test_the_environments_proxy_leads_to_other_machines(
    mock_resend: MockResend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", mock_resend.base_url.removeprefix("http://"))
    away = ResendMailer(SecretStr(mock_resend.api_key), "a@b.example", "http://resend.example")
    assert isinstance(away.send(MAIL, "team@b.example", "k"), Sent)
    assert mock_resend.mails()[0]["http_headers"]["Host"] == "resend.example"


def test_a_netrc_does_not_take_the_keys_place(
    mock_resend: MockResend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("default login somebody password something\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert isinstance(send(mock_resend), Sent)


@pytest.mark.parametrize("key", ["", "  ", "re_a b", "re_a\nb", "re_ä"])
def test_a_key_that_no_header_can_carry_is_a_mistake_of_the_configuration(key: str) -> None:
    with pytest.raises(ConfigError, match="key") as raised:
        ResendMailer(SecretStr(key), "a@b.example")
    assert "re_" not in str(raised.value)


@pytest.mark.parametrize("url", ["api.resend.com", "ftp://x", "http://", "http://["])
def test_an_address_that_is_none_is_a_mistake_of_the_configuration(url: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        ResendMailer(SecretStr("re_x"), "a@b.example", url)
