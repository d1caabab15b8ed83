"""What people do with messages: look at them, send one again, test that mails arrive.

What belongs here: one small function for each. What does not: delivery as it goes on by itself (deliver), options and
words of commands (evalops_dagster.cli).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Engine

from evalops_core.domain.incident import Incident
from evalops_core.domain.mail import Mail, Mailer
from evalops_core.run.alert_rules import AlertRules
from evalops_core.run.deliver import deliver, preview, queue_test_mail
from evalops_core.store.alerting import reading
from evalops_core.store.outbox import Message, MessageState, Outbox

_OVER: tuple[MessageState, ...] = ("sent", "dropped")
_UNSETTLED: tuple[MessageState, ...] = ("due", "not_configured")
_EVERY: tuple[MessageState, ...] = (*_UNSETTLED, "sent", "dropped")


@dataclass(frozen=True, slots=True)
class ListedMessage:
    """A message and the incidents that it is about, oldest first; none for a test."""

    message: Message
    incidents: tuple[Incident, ...]


@dataclass(frozen=True, slots=True)
class MessageFile:
    """A message and its mail: the one that was kept for sending, or else as it would be now.

    `mail` is None where there is nothing to say to this recipient, and where it `was_purged`.
    """

    message: Message
    incidents: tuple[Incident, ...]
    mail: Mail | None

    @property
    def is_kept(self) -> bool:
        return self.message.rendered is not None

    @property
    def was_purged(self) -> bool:
        """Whether the mail that was sent is not kept any more; one that may still be sent is composed anew."""
        return self.message.texts_purged_at is not None and self.message.state in _OVER


def list_messages(
    engine: Engine, *, state: MessageState | None = None, every: bool = False, limit: int = 100
) -> list[ListedMessage]:
    """Dead ones first, then the newest. Those that nobody got yet, unless one state or `every` one is asked for."""
    outbox = Outbox(engine)
    if state is not None:
        messages = outbox.listed(states=[state], limit=limit)
    else:
        messages = outbox.listed(states=["dead"], limit=limit)
        rest = limit - len(messages)
        if rest:
            messages += outbox.listed(states=_EVERY if every else _UNSETTLED, limit=rest)
    return [ListedMessage(message, _about(engine, message)) for message in messages]


def message_counts(engine: Engine) -> Mapping[MessageState, int]:
    return Outbox(engine).counts()


def message_file(engine: Engine, message_id: int, rules: AlertRules, now: datetime) -> MessageFile:
    """Nothing is stored by looking. ConfigError where there is no such message."""
    message = Outbox(engine).get(message_id)
    found = MessageFile(message, _about(engine, message), None)
    return found if found.was_purged else replace(found, mail=preview(message, engine, rules, now))


def resend(
    engine: Engine,
    message_id: int,
    recipient: str | None,
    rules: AlertRules,
    mailer: Mailer | None,
    now: Callable[[], datetime],
) -> Message:
    """The message after it was made due again and, with a `mailer`, tried once; no other message is sent.

    ConfigError where it is neither dead nor without a recipient or key.
    """
    outbox = Outbox(engine)
    message = outbox.revive(message_id, recipient, now())
    if mailer is None:
        return message
    deliver(engine, rules, mailer, now, only=[message_id])
    return outbox.get(message_id)


def send_test_mails(
    engine: Engine, recipients: Sequence[str], rules: AlertRules, mailer: Mailer, now: Callable[[], datetime]
) -> list[Message]:
    """One test mail to each of them, tried once; what became of it. No other message is sent."""
    outbox, tried = Outbox(engine), list[Message]()
    for recipient in dict.fromkeys(recipients):
        message = queue_test_mail(engine, recipient, now())
        deliver(engine, rules, mailer, now, only=[message.id])
        tried.append(outbox.get(message.id))
    return tried


def _about(engine: Engine, message: Message) -> tuple[Incident, ...]:
    if not message.incidents:
        return ()
    with reading(engine) as tables:
        return tuple(tables.incidents.get(incident) for incident in message.incidents)
