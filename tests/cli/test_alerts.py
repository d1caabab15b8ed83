"""`evalops alerts`, with a stand-in for the mail provider."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from evalops_core.domain.mail import Image, Mail
from evalops_core.run.deliver import deliver
from evalops_core.run.detect import detect
from evalops_core.store.outbox import Message, MessageState, Outbox
from tests.cli.calling import Evalops, settle
from tests.mock_resend.fixture import MockResend, start_mock_resend
from tests.run.drift.drifted import Drifted
from tests.run.scored import NOW, TEAM, Scored, rules

KEYLESS = "RESEND_API_KEY or EVALOPS_RESEND_API_KEY"


@pytest.fixture(scope="module")
def provider_process() -> Iterator[MockResend]:
    process, mock = start_mock_resend()
    with process:
        yield mock
        process.terminate()


@pytest.fixture(autouse=True)
def deployment(database_url: SecretStr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database of the test's own, a suite, and no key for mails."""
    settle(monkeypatch, tmp_path, database_url, cases=2)
    monkeypatch.delenv("RESEND_API_KEY", raising=False)


@pytest.fixture
def provider(provider_process: MockResend, monkeypatch: pytest.MonkeyPatch) -> MockResend:
    """A provider that takes mails, and a key for it."""
    provider_process.reset()
    monkeypatch.setenv("RESEND_API_KEY", provider_process.api_key)
    monkeypatch.setenv("EVALOPS_RESEND_BASE_URL", provider_process.base_url)
    return provider_process


@pytest.fixture
def outbox(engine: Engine) -> Outbox:
    return Outbox(engine)


@pytest.fixture
def scored(engine: Engine) -> Scored:
    return Scored(engine)


@pytest.fixture
def owed(engine: Engine, scored: Scored, outbox: Outbox) -> Message:
    """The message of one regression, which is due; its only case has a text that is not for everybody."""
    scored.run(0, "4.200", answers={"case-1": ("It is paid.", 5.0)}, dagster_run="root-1")
    scored.run(1, "3.600", answers={"case-1": ("SECRET ANSWER", 2.0)}, dagster_run="root-1")
    detect(engine, rules(), NOW)
    (message,) = outbox.listed()
    return message


@pytest.fixture
def dead(owed: Message, outbox: Outbox) -> Message:
    outbox.ended(owed.id, "dead", "refused: api.example answered 403 invalid_api_key: API key is invalid")
    return outbox.get(owed.id)


def row_of(out: str, number: int) -> list[str]:
    (line,) = [line for line in out.splitlines() if re.match(rf" *{number} ", line)]
    return re.split(r"\s{2,}", line.strip())


def test_a_message_is_listed_with_whom_it_tells_of_what(evalops: Evalops, owed: Message) -> None:
    said = evalops("alerts", "list")
    assert (said.code, said.err) == (0, "")
    assert row_of(said.out, owed.id) == ["1", "due", "firing", TEAM, "1 explain", "0", "2026-12-01 09:30"]
    assert "\x1b" not in said.out
    assert "SECRET" not in said.out


@pytest.mark.usefixtures("dead")
def test_those_given_up_come_first_are_marked_and_are_no_failure_of_the_list(
    engine: Engine, evalops: Evalops, scored: Scored
) -> None:
    scored.runs(["5.000", "4.000"], feature="orders")
    detect(engine, rules(), NOW)
    said = evalops("alerts", "list")
    assert (said.code, said.err) == (0, "")
    assert row_of(said.out, 1)[1:3] == ["! dead", "firing"]
    assert said.out.index("! dead") < said.out.index("2 orders")
    assert said.out.endswith("marked with ! was given up; it is tried again by: evalops alerts resend 1\n")
    assert [row["id"] for row in json.loads(evalops("alerts", "list", "--limit", "1", "--json").out)] == [1]


def test_a_long_error_is_cut_in_the_list_and_whole_where_one_is_shown(
    evalops: Evalops, owed: Message, outbox: Outbox
) -> None:
    outbox.ended(owed.id, "dead", "refused: " + "very " * 30 + "sorry\x1b[31m")
    listed, shown = evalops("alerts", "list").out, evalops("alerts", "show", "1").out
    assert "sorry" not in listed
    assert "…" in listed
    assert "sorry" in shown
    assert "\x1b" not in listed + shown


@pytest.mark.usefixtures("owed")
def test_what_was_sent_is_listed_on_demand(evalops: Evalops, outbox: Outbox) -> None:
    outbox.sent(1, "provider-1", NOW)
    assert evalops("alerts", "list").out == "No message waits (1 sent); `evalops alerts list --all` shows them.\n"
    assert row_of(evalops("alerts", "list", "--all").out, 1)[:2] == ["1", "sent"]
    assert row_of(evalops("alerts", "list", "--state", "sent").out, 1)[-1] == "2026-12-01 09:30"
    assert evalops("alerts", "list", "--state", "dead").out == "No message is dead.\n"


def test_no_message_at_all_is_said_kindly(evalops: Evalops) -> None:
    assert evalops("alerts", "list").out == "There has been no message yet; the first regression makes one.\n"
    assert json.loads(evalops("alerts", "list", "--json").out) == []


def test_a_message_to_nobody_says_so(engine: Engine, evalops: Evalops, scored: Scored) -> None:
    scored.runs(["4.200", "3.600"])
    detect(engine, rules(""), NOW)
    row = row_of(evalops("alerts", "list").out, 1)
    assert row[1:4] == ["not configured", "firing", "nobody configured"]
    (facts,) = json.loads(evalops("alerts", "list", "--json").out)
    assert (facts["recipient"], facts["state"]) == ("", "not_configured")


def test_an_unknown_state_is_refused_with_those_there_are(evalops: Evalops) -> None:
    said = evalops("alerts", "list", "--state", "lost")
    assert (said.code, said.out) == (2, "")
    assert "not_configured" in said.err


def test_a_message_is_shown_as_its_mail_would_be_and_nothing_is_kept_of_that(
    evalops: Evalops, owed: Message, outbox: Outbox
) -> None:
    said = evalops("alerts", "show", "1")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"message 1: firing, to {TEAM}\n")
    assert re.search(
        r"^subject +\[EvalOps\] Eval regression: explain \(small-1\) 4\.20 → 3\.60, −0\.60$", said.out, re.MULTILINE
    )
    assert re.search(r"^about +incident 1: regression of explain with small-1, firing$", said.out, re.MULTILINE)
    assert "This is how it would be now" in said.out
    assert "SECRET ANSWER" in said.out, "the mail has the texts of cases"
    assert outbox.get(1) == owed


def test_a_message_that_was_sent_is_shown_as_it_was_sent(evalops: Evalops, owed: Message, outbox: Outbox) -> None:
    outbox.keep_rendered(owed.id, Mail("An old subject", "<p>old</p>", "The old text").as_json())
    outbox.sent(owed.id, "provider-1", NOW)
    out = evalops("alerts", "show", "1").out
    assert re.search(r"^sent +2026-12-01 09:30 UTC, as provider-1$", out, re.MULTILINE)
    assert out.endswith("\nThe old text\n")
    assert "would be now" not in out
    assert evalops("alerts", "show", "1", "--text").out == "The old text\n"
    shown = json.loads(evalops("alerts", "show", "1", "--json").out)
    assert (shown["state"], shown["provider_id"], shown["mail"]["subject"]) == ("sent", "provider-1", "An old subject")
    assert datetime.fromisoformat(shown["sent_at"]) == NOW
    assert "rendered" not in shown


def test_the_mail_is_written_as_one_page_with_its_pictures(
    evalops: Evalops, owed: Message, outbox: Outbox, tmp_path: Path
) -> None:
    mail = Mail("Subject", '<img src="cid:trend-1">', "text", (Image("trend-1", b"\x89PNG", "the trend"),))
    outbox.keep_rendered(owed.id, mail.as_json())
    file = tmp_path / "mail.html"
    said = evalops("alerts", "show", "1", "--html", str(file))
    assert (said.code, said.out, said.err) == (0, f"{file}\n", "")
    assert file.read_text(encoding="utf-8") == '<img src="data:image/png;base64,iVBORw==">'


@pytest.mark.usefixtures("owed")
def test_a_page_that_cannot_be_written_is_refused_in_a_sentence(evalops: Evalops, tmp_path: Path) -> None:
    missing = evalops("alerts", "show", "1", "--html", str(tmp_path / "no" / "mail.html"))
    assert (missing.code, missing.out) == (2, "")
    assert missing.err == f"error: --html: the folder {tmp_path / 'no'} is not there; make it first\n"
    assert not (tmp_path / "no").exists()
    folder = evalops("alerts", "show", "1", "--html", str(tmp_path))
    assert (folder.code, folder.err) == (2, f"error: --html: {tmp_path} is a folder; name a file\n")


@pytest.mark.usefixtures("owed")
def test_one_form_is_chosen(evalops: Evalops, tmp_path: Path) -> None:
    said = evalops("alerts", "show", "1", "--json", "--html", str(tmp_path / "mail.html"))
    assert (said.code, said.out) == (2, "")
    assert not (tmp_path / "mail.html").exists()


def test_a_message_with_nothing_to_say_has_no_mail(
    engine: Engine, evalops: Evalops, scored: Scored, dead: Message, outbox: Outbox, tmp_path: Path
) -> None:
    """The end of an incident is told to those alone who were told of its beginning."""
    outbox.revive(dead.id, None, NOW)
    scored.run(2, "4.200")
    detect(engine, rules(), NOW)
    (resolved,) = [message.id for message in outbox.listed() if message.transition == "resolved"]
    assert "There is nothing to say to this recipient" in evalops("alerts", "show", str(resolved)).out
    said = evalops("alerts", "show", str(resolved), "--html", str(tmp_path / "mail.html"))
    assert (said.code, said.out) == (2, "")
    assert f"message {resolved} has nothing to say" in said.err
    assert not (tmp_path / "mail.html").exists()


@pytest.mark.parametrize("command", ["show", "resend"])
def test_a_message_that_there_is_not_is_named(evalops: Evalops, command: str) -> None:
    said = evalops("alerts", command, "7")
    assert (said.code, said.out) == (2, "")
    assert said.err == "error: there is no message 7; `evalops alerts list --all` shows those there are\n"


def test_a_dead_message_is_sent_again_under_a_new_key(
    evalops: Evalops, dead: Message, outbox: Outbox, provider: MockResend
) -> None:
    said = evalops("alerts", "resend", "1")
    (mail,) = provider.mails()
    assert (said.code, said.err) == (0, "")
    assert said.out == f"message 1 was sent to {TEAM} as {mail['id']}\n"
    assert mail["to"] == [TEAM]
    assert mail["key"] != str(dead.key)
    assert outbox.get(1).state == "sent"


def test_a_message_to_nobody_is_sent_to_whom_is_named(
    engine: Engine, evalops: Evalops, scored: Scored, provider: MockResend
) -> None:
    scored.runs(["4.200", "3.600"])
    detect(engine, rules(""), NOW)
    refused = evalops("alerts", "resend", "1")
    assert (refused.code, refused.out) == (2, "")
    assert "message 1 has no recipient; name one with --to" in refused.err
    assert evalops("alerts", "resend", "1", "--to", "me@example.com").code == 0
    assert [mail["to"] for mail in provider.mails()] == [["me@example.com"]]


def test_the_end_is_told_to_whom_the_beginning_was_sent_in_the_end(
    engine: Engine, evalops: Evalops, scored: Scored, dead: Message, outbox: Outbox
) -> None:
    """And not before it: the message that resolves waits for the one that fires, whoever that goes to now."""
    evalops("alerts", "resend", str(dead.id), "--to", "me@example.com")
    scored.run(2, "4.200")
    detect(engine, rules(), NOW)
    (resolved,) = [message for message in outbox.listed() if message.transition == "resolved"]
    assert resolved.recipient == "me@example.com"
    later, no_lease = NOW + timedelta(days=9999), timedelta(0)
    assert outbox.claim(later, no_lease, only=[resolved.id]) is None
    outbox.sent(dead.id, "provider-1", NOW)
    claimed = outbox.claim(later, no_lease, only=[resolved.id])
    assert claimed is not None
    assert claimed.id == resolved.id


def test_sending_one_again_leaves_the_others_alone(
    engine: Engine, evalops: Evalops, scored: Scored, outbox: Outbox, dead: Message, provider: MockResend
) -> None:
    scored.runs(["5.000", "4.000"], feature="orders")
    detect(engine, rules(), NOW)
    assert evalops("alerts", "resend", str(dead.id)).code == 0
    assert len(provider.mails()) == 1
    assert outbox.get(2).attempts == 0


def test_what_is_refused_again_says_why_and_exits_with_1(
    evalops: Evalops, dead: Message, outbox: Outbox, provider: MockResend
) -> None:
    provider.configure(fault="refuse", status=422, name="validation_error", message="The domain is not verified")
    said = evalops("alerts", "resend", str(dead.id))
    assert (said.code, said.err) == (1, "")
    assert said.out.startswith(f"message 1 to {TEAM} was given up: refused: ")
    assert "The domain is not verified" in said.out
    assert outbox.get(1).state == "dead"


def test_what_delivery_logs_is_said_once(dead: Message, provider: MockResend) -> None:
    provider.configure(fault="refuse", status=422)
    command = [sys.executable, "-m", "evalops_dagster.cli", "alerts", "resend", str(dead.id)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (said.returncode, said.stderr) == (1, "")
    assert len(said.stdout.splitlines()) == 1


def test_without_a_key_it_is_due_again_and_stays_until_one_is_set(
    engine: Engine, evalops: Evalops, dead: Message, outbox: Outbox
) -> None:
    said = evalops("alerts", "resend", str(dead.id))
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"message 1 to {TEAM} is due again, but this shell has no key for Resend ({KEYLESS}): ")
    assert outbox.get(1).state == "due"
    deliver(engine, rules(), None, lambda: datetime.now(timezone.utc))
    assert outbox.get(1).state == "not_configured"


@pytest.mark.parametrize(
    ("state", "words"), [("due", "is due already"), ("sent", "was sent to"), ("dropped", "dropped")]
)
def test_only_what_is_dead_or_not_configured_is_made_due(
    evalops: Evalops, owed: Message, outbox: Outbox, provider: MockResend, state: MessageState, words: str
) -> None:
    """A new key for a message that may be on its way would make two mails of it."""
    if state == "sent":
        outbox.sent(owed.id, "provider-1", NOW)
    elif state == "dropped":
        outbox.ended(owed.id, "dropped", "there was nothing left to say to this recipient")
    before = outbox.get(owed.id)
    said = evalops("alerts", "resend", "1")
    assert (said.code, said.out) == (2, "")
    assert words in said.err
    assert outbox.get(owed.id) == before
    assert provider.requests() == []


@pytest.mark.parametrize("command", [["resend", "1"], ["test"]])
def test_what_is_no_mail_address_is_refused_before_anything_happens(
    evalops: Evalops, dead: Message, outbox: Outbox, command: list[str]
) -> None:
    said = evalops("alerts", *command, "--to", "team at example.com")
    assert (said.code, said.out) == (2, "")
    assert said.err == ("error: --to: expected a mail address like team@example.com, not 'team at example.com'\n")
    assert outbox.listed() == [dead]


def test_a_key_that_cannot_be_one_changes_nothing(
    evalops: Evalops, dead: Message, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESEND_API_KEY", "two words")
    for command in (["resend", "1"], ["test", "--to", "me@example.com"]):
        said = evalops("alerts", *command)
        assert (said.code, said.out) == (2, "")
        assert "two words" not in said.err
    assert outbox.listed() == [dead]


def test_a_test_mail_goes_to_everybody_who_is_told(
    evalops: Evalops, provider: MockResend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALOPS_ALERT_TO", "a@example.com,b@example.com")
    said = evalops("alerts", "test")
    mails = provider.mails()
    assert (said.code, said.err) == (0, "")
    assert [mail["to"] for mail in mails] == [["a@example.com"], ["b@example.com"]]
    assert said.out == (
        f"message 1 was sent to a@example.com as {mails[0]['id']}\n"
        f"message 2 was sent to b@example.com as {mails[1]['id']}\n"
    )
    assert mails[0]["subject"] == "[EvalOps] Test mail"


def test_a_test_mail_sends_no_other_message(
    evalops: Evalops, owed: Message, outbox: Outbox, provider: MockResend
) -> None:
    assert evalops("alerts", "test", "--to", "me@example.com").code == 0
    assert [mail["to"] for mail in provider.mails()] == [["me@example.com"]]
    assert outbox.get(owed.id) == owed


def test_a_test_mail_that_is_refused_says_why_and_exits_with_1(evalops: Evalops, provider: MockResend) -> None:
    provider.configure(fault="refuse", status=403, name="validation_error", message="Verify a domain first")
    said = evalops("alerts", "test", "--to", "me@example.com")
    assert (said.code, said.err) == (1, "")
    assert said.out.startswith("message 1 to me@example.com was given up: refused: ")
    assert "Verify a domain first" in said.out


def test_a_test_mail_that_nobody_took_is_tried_again_later(
    evalops: Evalops, outbox: Outbox, provider: MockResend
) -> None:
    provider.configure(fault="refuse", status=503)
    said = evalops("alerts", "test", "--to", "me@example.com")
    assert (said.code, said.err) == (1, "")
    assert said.out.startswith("message 1 to me@example.com was not taken: 127.0.0.1 answered 503")
    assert "alert_delivery_sensor tries it again from" in said.out
    assert outbox.get(1).state == "due"


def test_one_address_that_fails_does_not_keep_the_others(
    evalops: Evalops, provider: MockResend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALOPS_ALERT_TO", "a@example.com,b@example.com")
    provider.configure(fault="refuse", fault_times=1, status=422)
    assert evalops("alerts", "test").code == 1
    assert [mail["to"] for mail in provider.mails()] == [["b@example.com"]]


def test_where_nothing_is_configured_the_variable_is_named_and_nothing_is_stored(
    evalops: Evalops, outbox: Outbox
) -> None:
    nobody = evalops("alerts", "test")
    assert (nobody.code, nobody.out) == (2, "")
    assert "EVALOPS_ALERT_TO" in nobody.err
    keyless = evalops("alerts", "test", "--to", "me@example.com")
    assert (keyless.code, keyless.out) == (2, "")
    assert keyless.err == f"error: not configured: there is no key for Resend; set {KEYLESS}\n"
    assert outbox.listed() == []


def test_a_message_about_a_drift_is_shown_with_its_mail_and_its_picture(
    engine: Engine, evalops: Evalops, tmp_path: Path
) -> None:
    Drifted(engine).incident()
    said = evalops("alerts", "show", "1", "--html", str(tmp_path / "mail.html"))
    assert (said.code, said.err) == (0, "")
    page = (tmp_path / "mail.html").read_text(encoding="utf-8")
    assert "What users ask has moved" in page
    assert 'src="data:image/png;base64,' in page
    out = evalops("alerts", "show", "1").out
    assert re.search(r"^about +incident 1: drift of explain, firing$", out, re.MULTILINE)
    assert re.search(r"^subject +\[EvalOps\] Input drift: explain 0\.231 \(threshold 0\.150\)$", out, re.MULTILINE)
