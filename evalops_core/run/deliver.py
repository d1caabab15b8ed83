"""Handing the outbox's messages over to the mail provider, each exactly once as far as anybody can tell.

What belongs here: the order of claiming, composing, sending and noting, and when to try again. What does not: the
statements (outbox), the provider (providers), what a mail says (letters, mail).

At least once, by the lease: whoever dies with a message leaves it to the next. At most once, by the key: the provider
knows what it has taken under it, for 24 hours, so that a message whose first attempt is older than 23 hours is dead.
What is sent is kept before it is sent, for the same key must never come with another mail. No transaction is open
while the provider is asked.
"""

import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine
from typing_extensions import assert_never

from evalops_core.domain.mail import Deferred, Mail, Mailer, Refused, Sent
from evalops_core.errors import EvalOpsError
from evalops_core.mail.compose import compose
from evalops_core.run.alert_rules import AlertRules
from evalops_core.run.letters import letter_of
from evalops_core.store.outbox import Message, Outbox, enqueue

LEASE = timedelta(minutes=2)  # longer than composing and one attempt may take
KEY_LIFE = timedelta(hours=23)
_BACKOFF_S = (15.0, 900.0)
_NOT_CONFIGURED = "no key for the mail provider is set (RESEND_API_KEY)"
_LOG = logging.getLogger(__name__)


@dataclass
class Delivery:
    """What one round came to, by count; `dead` are those that died in it."""

    sent: int = 0
    deferred: int = 0
    dead: int = 0
    dropped: int = 0
    not_configured: int = 0

    def __str__(self) -> str:
        parts = [f"{number} {name.replace('_', ' ')}" for name, number in vars(self).items() if number]
        return ", ".join(parts) or "nothing is due"


def deliver(
    engine: Engine,
    rules: AlertRules,
    mailer: Mailer | None,
    now: Callable[[], datetime],
    *,
    within_s: float = 30.0,
    lease: timedelta = LEASE,
    only: Sequence[int] | None = None,
    jitter: Callable[[float, float], float] = random.uniform,
) -> Delivery:
    """Send what is due, for about `within_s` seconds. Without a `mailer` it is noted that none is configured.

    `only` are the ids of messages beside which no other is touched. A provider that cannot be reached ends the round:
    the next message would wait for it just as long.
    """
    outbox, delivery, started = Outbox(engine), Delivery(), time.monotonic()
    while time.monotonic() - started < within_s:
        message = outbox.claim(now(), lease, only)
        if message is None:
            break
        before = delivery.deferred
        _handle(message, outbox, engine, rules, mailer, now, jitter, delivery)
        if delivery.deferred > before:
            break
    return delivery


def _handle(
    message: Message,
    outbox: Outbox,
    engine: Engine,
    rules: AlertRules,
    mailer: Mailer | None,
    now: Callable[[], datetime],
    jitter: Callable[[float, float], float],
    delivery: Delivery,
) -> None:
    if message.first_attempt_at is not None and now() - message.first_attempt_at > KEY_LIFE:
        why = f"given up after {message.attempts - 1} attempts in 23 hours: {message.last_error or 'no answer came'}"
        _dies(message, why, outbox, delivery)
        return
    try:
        mail = mail_of(message, outbox, engine, rules, now())
    except Exception as error:  # noqa: BLE001  # one message that cannot be composed must not keep the others
        _LOG.exception("message %s cannot be composed", message.id)
        _again(message, f"it cannot be composed: {error}", None, outbox, now(), jitter)
        outbox.attempted(message.id, now())
        return
    if mail is None:
        outbox.ended(message.id, "dropped", "there was nothing left to say to this recipient")
        delivery.dropped += 1
        return
    if mailer is None:
        outbox.ended(message.id, "not_configured", _NOT_CONFIGURED)
        delivery.not_configured += 1
        return
    outbox.attempted(message.id, now())
    outcome = mailer.send(mail, message.recipient, str(message.key))
    if isinstance(outcome, Sent):
        outbox.sent(message.id, outcome.provider_id, now())
        delivery.sent += 1
        _LOG.info("message %s was sent to %s as %s", message.id, message.recipient, outcome.provider_id)
    elif isinstance(outcome, Refused):
        _dies(message, f"refused: {outcome.reason}", outbox, delivery)
    elif isinstance(outcome, Deferred):  # pyright: ignore[reportUnnecessaryIsInstance]  # for assert_never
        _again(message, outcome.reason, outcome.retry_after_s, outbox, now(), jitter)
        delivery.deferred += 1
    else:
        assert_never(outcome)


def mail_of(message: Message, outbox: Outbox, engine: Engine, rules: AlertRules, now: datetime) -> Mail | None:
    """What is sent, or was: composed once and kept. None where there is nothing to say any more."""
    mail = preview(message, engine, rules, now)
    if mail is None or message.rendered is not None:
        return mail
    return Mail.from_json(outbox.keep_rendered(message.id, mail.as_json()))


def preview(message: Message, engine: Engine, rules: AlertRules, now: datetime) -> Mail | None:
    """The mail that was kept, or as it would be now, without keeping it. None where there is nothing to say."""
    if message.rendered is not None:
        return Mail.from_json(message.rendered)
    letter = letter_of(message, engine, rules, now)
    return None if letter is None else compose(letter)


def queue_test_mail(engine: Engine, recipient: str, now: datetime) -> Message:
    """A message that says nothing but that mails arrive, due now."""
    with engine.begin() as connection:
        message = enqueue(connection, "test", recipient, [], now)
    if message is None:
        raise EvalOpsError("the test mail could not be stored")
    return Outbox(engine).get(message)


def _again(
    message: Message,
    why: str,
    retry_after_s: float | None,
    outbox: Outbox,
    now: datetime,
    jitter: Callable[[float, float], float],
) -> None:
    """Full jitter over a pause that doubles; never sooner than the provider asks for."""
    first, longest = _BACKOFF_S
    pause = min(longest, first * 2 ** min(message.attempts - 1, 16))
    wait = max(jitter(pause / 2, pause), retry_after_s or 0.0)
    outbox.again(message.id, now + timedelta(seconds=wait), why)
    _LOG.warning("message %s is tried again in %.0f s: %s", message.id, wait, why)


def _dies(message: Message, why: str, outbox: Outbox, delivery: Delivery) -> None:
    outbox.ended(message.id, "dead", why)
    delivery.dead += 1
    _LOG.error("message %s to %s is dead, nobody was told: %s", message.id, message.recipient, why)
