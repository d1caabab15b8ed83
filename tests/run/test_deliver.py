"""Handing messages over: once, in order, again after faults, and never with a transaction open."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from evalops_core.domain.mail import Deferred, Mail, Outcome, Refused, Sent
from evalops_core.run.alert_rules import AlertRules
from evalops_core.run.deliver import Delivery, deliver, queue_test_mail
from evalops_core.run.detect import detect
from evalops_core.store.outbox import Message, Outbox
from tests.run.scored import NOW, TEAM, Scored, rules


@dataclass
class Provider:
    """Answers as told, then takes everything; remembers what it was asked."""

    answers: list[Outcome] = field(default_factory=list[Outcome])
    asked: list[tuple[Mail, str, str]] = field(default_factory=list[tuple[Mail, str, str]])
    meanwhile: Callable[[], None] | None = None

    def send(self, mail: Mail, recipient: str, key: str) -> Outcome:
        self.asked.append((mail, recipient, key))
        if self.meanwhile:
            self.meanwhile()
        return self.answers.pop(0) if self.answers else Sent(f"provider-{len(self.asked)}")


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def scored(engine: Engine) -> Scored:
    return Scored(engine)


@pytest.fixture
def owed(engine: Engine, scored: Scored) -> Message:
    """The message of one regression."""
    scored.runs(["4.200", "3.600"])
    detect(engine, rules(), NOW)
    (message,) = Outbox(engine).listed()
    return message


def hand_over(engine: Engine, provider: Provider | None, clock: Clock, told: AlertRules | None = None) -> Delivery:
    return deliver(engine, told or rules(), provider, clock, jitter=lambda _, longest: longest)


def test_a_message_is_sent_once_under_its_own_key(engine: Engine, owed: Message, clock: Clock) -> None:
    provider = Provider()
    assert hand_over(engine, provider, clock) == Delivery(sent=1)
    ((mail, recipient, key),) = provider.asked
    assert (recipient, key) == (TEAM, str(owed.key))
    assert mail.subject == "[EvalOps] Eval regression: explain (small-1) 4.20 → 3.60, −0.60"
    kept = Outbox(engine).get(owed.id)
    assert (kept.state, kept.provider_id, kept.sent_at, kept.attempts) == ("sent", "provider-1", NOW, 1)
    assert hand_over(engine, provider, clock) == Delivery()
    assert len(provider.asked) == 1


def test_while_the_provider_is_asked_no_transaction_is_open(engine: Engine, owed: Message, clock: Clock) -> None:
    seen: list[int] = []

    def look() -> None:
        with engine.connect() as connection:
            query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
            seen.append(connection.execute(text(query)).scalar_one())

    hand_over(engine, Provider(meanwhile=look), clock)
    assert seen == [0]


def test_a_fault_is_tried_again_later_each_time_and_with_the_very_same_mail(
    engine: Engine, scored: Scored, owed: Message, clock: Clock
) -> None:
    provider = Provider([Deferred("HTTP 500")] * 3)
    pauses: list[float] = []
    for _ in range(3):
        assert hand_over(engine, provider, clock) == Delivery(deferred=1)
        due = Outbox(engine).get(owed.id).due_at
        pauses.append((due - clock.now).total_seconds())
        assert hand_over(engine, provider, clock) == Delivery(), "not before it is due"
        clock.now = due
        scored.run(10 + len(pauses), "1.000")  # what came later must not change what is sent
    assert pauses == [15, 30, 60]
    assert hand_over(engine, provider, clock) == Delivery(sent=1)
    assert len({(mail.subject, mail.html, mail.text, mail.images, key) for mail, _, key in provider.asked}) == 1


def test_a_provider_that_asks_for_a_pause_gets_it(engine: Engine, owed: Message, clock: Clock) -> None:
    hand_over(engine, Provider([Deferred("HTTP 429", retry_after_s=300)]), clock)
    assert Outbox(engine).get(owed.id).due_at == NOW + timedelta(seconds=300)


def test_a_provider_out_of_reach_ends_the_round_and_the_others_stay_due(
    engine: Engine, scored: Scored, owed: Message, clock: Clock
) -> None:
    scored.runs(["4.200", "3.000"], feature="extract")
    detect(engine, rules(), NOW)
    provider = Provider([Deferred("it does not answer")])
    assert hand_over(engine, provider, clock) == Delivery(deferred=1)
    assert len(provider.asked) == 1
    assert hand_over(engine, provider, clock) == Delivery(sent=1)


def test_a_refused_message_is_dead_and_the_next_one_is_sent(
    engine: Engine, scored: Scored, owed: Message, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    scored.runs(["4.200", "3.000"], feature="extract")
    detect(engine, rules(), NOW)
    assert hand_over(engine, Provider([Refused("HTTP 422: no such address")]), clock) == Delivery(sent=1, dead=1)
    kept = Outbox(engine).get(owed.id)
    assert (kept.state, kept.last_error) == ("dead", "refused: HTTP 422: no such address")
    assert "is dead, nobody was told" in caplog.text


def test_it_is_given_up_before_the_provider_forgets_the_key(engine: Engine, owed: Message, clock: Clock) -> None:
    hand_over(engine, Provider([Deferred("HTTP 500")]), clock)
    clock.pass_by(hours=23)
    assert hand_over(engine, Provider([Deferred("HTTP 500")]), clock) == Delivery(deferred=1)
    clock.pass_by(hours=1)
    provider = Provider()
    assert hand_over(engine, provider, clock) == Delivery(dead=1)
    assert provider.asked == []
    assert "HTTP 500" in (Outbox(engine).get(owed.id).last_error or "")


def test_one_that_nobody_tried_to_send_does_not_age(engine: Engine, owed: Message, clock: Clock) -> None:
    clock.pass_by(days=5)
    assert hand_over(engine, Provider(), clock) == Delivery(sent=1)


def test_whoever_dies_with_a_message_leaves_it_to_the_next_under_the_same_key(
    engine: Engine, owed: Message, clock: Clock
) -> None:
    def die() -> None:
        raise KeyboardInterrupt

    dying, heir = Provider(meanwhile=die), Provider()
    with pytest.raises(KeyboardInterrupt):
        hand_over(engine, dying, clock)
    assert hand_over(engine, heir, clock) == Delivery(), "leased"
    clock.pass_by(minutes=3)
    assert hand_over(engine, heir, clock) == Delivery(sent=1)
    assert dying.asked == heir.asked


def test_two_that_deliver_at_once_do_not_take_the_same(engine: Engine, owed: Message, clock: Clock) -> None:
    second = Provider()
    first = Provider(meanwhile=lambda: hand_over(engine, second, clock) and None)
    assert hand_over(engine, first, clock) == Delivery(sent=1)
    assert (len(first.asked), len(second.asked)) == (1, 0)


def test_without_a_key_nothing_is_sent_and_the_message_is_kept_to_be_sent_later(
    engine: Engine, owed: Message, clock: Clock
) -> None:
    assert hand_over(engine, None, clock) == Delivery(not_configured=1)
    kept = Outbox(engine).get(owed.id)
    assert (kept.state, kept.attempts) == ("not_configured", 1)
    clock.pass_by(days=30)
    Outbox(engine).revive(owed.id, None, clock.now)
    provider = Provider()
    assert hand_over(engine, provider, clock) == Delivery(sent=1)
    assert provider.asked[0][2] != str(owed.key), "the provider may remember the old key"


def test_a_recovery_waits_for_the_regressions_mail_and_is_then_told(
    engine: Engine, scored: Scored, owed: Message, clock: Clock
) -> None:
    hand_over(engine, Provider([Deferred("HTTP 500")]), clock)
    scored.run(2, "4.200")
    detect(engine, rules(), NOW)
    assert hand_over(engine, Provider(), clock) == Delivery(), "the regression's mail is not due yet"
    clock.pass_by(minutes=1)
    provider = Provider()
    assert hand_over(engine, provider, clock) == Delivery(sent=2)
    assert [mail.subject.split(":")[0] for mail, _, _ in provider.asked] == [
        "[EvalOps] Eval regression",
        "[EvalOps] Resolved",
    ]


def test_a_recovery_is_dropped_where_the_regressions_mail_died(
    engine: Engine, scored: Scored, owed: Message, clock: Clock
) -> None:
    scored.run(2, "4.200")
    detect(engine, rules(), NOW)
    assert hand_over(engine, Provider([Refused("HTTP 403")]), clock) == Delivery(dead=1, dropped=1)


def test_a_mail_that_cannot_be_composed_does_not_keep_the_others(
    engine: Engine, scored: Scored, owed: Message, clock: Clock
) -> None:
    scored.runs(["4.200", "3.000"], feature="extract")
    detect(engine, rules(), NOW)
    with engine.begin() as connection:
        broken = {"id": owed.id, "rendered": '{"subject": 1}'}
        connection.execute(text("UPDATE evalops.outbox SET rendered = CAST(:rendered AS jsonb) WHERE id = :id"), broken)
    assert hand_over(engine, Provider(), clock) == Delivery(sent=1)
    kept = Outbox(engine).get(owed.id)
    assert kept.state == "due"
    assert "cannot be composed" in (kept.last_error or "")


def test_the_mail_holds_the_cases_that_fell_most_with_both_answers_and_the_reasons(
    engine: Engine, scored: Scored, clock: Clock
) -> None:
    before = {f"case-{n}": (f"good answer {n}", 5.0) for n in range(8)}
    after = {f"case-{n}": (f"<b>worse</b> {n}", 5.0 - n / 2) for n in range(8)}
    scored.run(0, "5.000", answers=before)
    scored.run(1, "3.250", answers=after, key={"prompt": "p2"})
    detect(engine, rules(), NOW)
    provider = Provider()
    hand_over(engine, provider, clock)
    mail = provider.asked[0][0]
    for number in (7, 6, 5, 4, 3):
        assert f"good answer {number}" in mail.text
        assert f"<b>worse</b> {number}" in mail.text
        assert f"&lt;b&gt;worse&lt;/b&gt; {number}" in mail.html
        assert f"because of case-{number}" in mail.text
    assert "good answer 2" not in mail.text
    assert "<b>worse" not in mail.html
    assert "p → p2" in mail.text
    assert "sha0 → sha1" in mail.text
    assert "http://ui.example/assets/explain/eval_score" in mail.text
    assert len(mail.images) == 1


def test_texts_stay_out_of_the_mail_where_a_team_wants_that(engine: Engine, scored: Scored, clock: Clock) -> None:
    scored.run(0, "5.000", answers={"case-1": ("a secret answer", 5.0)})
    scored.run(1, "3.250", answers={"case-1": ("another secret", 1.0)})
    quiet = rules(include_texts=False)
    detect(engine, quiet, NOW)
    provider = Provider()
    hand_over(engine, provider, clock, quiet)
    mail = provider.asked[0][0]
    assert "secret" not in mail.html + mail.text
    assert "because of" not in mail.html + mail.text
    assert "case-1" in mail.text


def test_a_test_mail_says_that_mails_arrive(engine: Engine, clock: Clock) -> None:
    message = queue_test_mail(engine, "ada@example.com", NOW)
    provider = Provider()
    assert hand_over(engine, provider, clock) == Delivery(sent=1)
    assert (provider.asked[0][0].subject, provider.asked[0][1]) == ("[EvalOps] Test mail", "ada@example.com")
    assert Outbox(engine).get(message.id).state == "sent"
