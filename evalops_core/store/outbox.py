"""The outbox: messages that are owed to somebody, each kept until it is known what became of it.

What belongs here: statements. Those that enqueue take the transaction in which the incident moves; those of delivery
are transactions of their own, so that none is open while a mail server is asked. What does not: what a message says
(mail), when to try again (run.deliver).

A message is claimed by a lease: whoever dies with one leaves it to the next, under the same key, by which the provider
knows what it has already sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, Engine, delete, exists, func, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.engine import RowMapping

from evalops_core.errors import ConfigError
from evalops_core.store.storable import storable
from evalops_core.store.tables import OUTBOX, OUTBOX_INCIDENTS

Transition = Literal["firing", "resolved", "reminder", "test"]
MessageState = Literal["due", "sent", "dead", "not_configured", "dropped"]
NOBODY = ""  # the recipient of a message for which none is configured

_O, _OI = OUTBOX.c, OUTBOX_INCIDENTS.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A row of `outbox`. `key` is the idempotency key under which it is sent, `rendered` the mail once it was composed,
    and until it was purged.

    `incidents` are the ids of those that it is about.
    """

    id: int
    key: UUID
    transition: Transition
    recipient: str
    state: MessageState
    attempts: int
    due_at: datetime
    created_at: datetime
    rendered: Mapping[str, Any] | None = None
    leased_until: datetime | None = None
    first_attempt_at: datetime | None = None
    provider_id: str | None = None
    last_error: str | None = None
    sent_at: datetime | None = None
    texts_purged_at: datetime | None = None
    incidents: tuple[int, ...] = ()


def enqueue(
    connection: Connection,
    transition: Transition,
    recipient: str,
    incidents: Sequence[int],
    now: datetime,
    *,
    day: str | None = None,
) -> int | None:
    """The id of the message about those of `incidents` that this recipient has not been told of; None for none.

    `day` lets a reminder of the same incident come again on another day. A message to `NOBODY` is kept and not sent.
    """
    state: MessageState = "due" if recipient != NOBODY else "not_configured"
    values = {"transition": transition, "recipient": recipient, "state": state, "due_at": now, "created_at": now}
    message: int = connection.execute(insert(OUTBOX).values(values).returning(_O.id)).scalar_one()
    if not incidents:
        return message
    name = transition if day is None else f"{transition} {day}"
    rows = [
        {"incident_id": incident, "transition": name, "recipient": recipient, "outbox_id": message}
        for incident in sorted(incidents)
    ]
    added = connection.execute(
        upsert(OUTBOX_INCIDENTS).values(rows).on_conflict_do_nothing().returning(_OI.incident_id)
    ).all()
    if added:
        return message
    connection.execute(delete(OUTBOX).where(_O.id == message))
    return None


def told(connection: Connection, incident_id: int) -> dict[str, MessageState]:
    """Recipient → what became of the message that the incident fires."""
    query = (
        select(_O.recipient, _O.state)
        .join(OUTBOX_INCIDENTS, _OI.outbox_id == _O.id)
        .where(_OI.incident_id == incident_id, _OI.transition == "firing")
    )
    return {row.recipient: row.state for row in connection.execute(query)}


class Outbox:
    """The tables `outbox` and `outbox_incidents` for delivery and for people. Every method is a transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def claim(self, now: datetime, lease: timedelta, only: Sequence[int] | None = None) -> Message | None:
        """The message that has been due for longest and nobody has in hand, leased until `now` + `lease`.

        Of all, or of those whose ids are `only`. One that resolves waits until those that fired for the same recipient
        are out of the way.
        """
        fired, mine = OUTBOX.alias("fired"), OUTBOX_INCIDENTS.alias("mine")
        link = OUTBOX_INCIDENTS.alias("link")
        unsettled = exists().where(
            mine.c.outbox_id == _O.id,
            mine.c.transition == "resolved",
            link.c.incident_id == mine.c.incident_id,
            link.c.transition == "firing",
            fired.c.id == link.c.outbox_id,
            fired.c.recipient == _O.recipient,  # the link's is the one before it was sent to somebody else
            fired.c.state == "due",
        )
        next_one = (
            select(_O.id)
            .where(
                text("outbox.state = 'due'"),
                _O.due_at <= now,
                or_(_O.leased_until.is_(None), _O.leased_until < now),
                ~unsettled,
            )
            .order_by(_O.due_at, _O.id)
            .limit(1)
            .with_for_update(skip_locked=True, of=OUTBOX)
        )
        if only is not None:
            next_one = next_one.where(_O.id.in_(list(only)))
        statement = (
            update(OUTBOX)
            .where(_O.id == next_one.scalar_subquery())
            .values(leased_until=now + lease, attempts=_O.attempts + 1)
            .returning(OUTBOX)
        )
        with self._engine.begin() as connection:
            row = connection.execute(statement).mappings().one_or_none()
            return None if row is None else _message(connection, row)

    def keep_rendered(self, message_id: int, rendered: Mapping[str, Any]) -> Mapping[str, Any]:
        """What is to be sent from now on, the same in every attempt: `rendered`, or what another one kept before."""
        value = func.coalesce(_O.rendered, text("CAST(:rendered AS jsonb)"))
        statement = update(OUTBOX).where(_O.id == message_id).values(rendered=value).returning(_O.rendered)
        import orjson

        with self._engine.begin() as connection:
            return connection.execute(statement, {"rendered": orjson.dumps(dict(rendered)).decode()}).scalar_one()

    def attempted(self, message_id: int, now: datetime) -> datetime:
        """When the provider was first asked: now at the latest. To be noted before it is asked."""
        first = func.coalesce(_O.first_attempt_at, now)
        statement = update(OUTBOX).where(_O.id == message_id).values(first_attempt_at=first)
        with self._engine.begin() as connection:
            return connection.execute(statement.returning(_O.first_attempt_at)).scalar_one()

    def sent(self, message_id: int, provider_id: str, now: datetime) -> None:
        """Whoever else had it in hand and failed meanwhile does not matter any more."""
        self._settle(message_id, state="sent", provider_id=storable(provider_id), sent_at=now, last_error=None)

    def again(self, message_id: int, due_at: datetime, why: str) -> None:
        self._settle(message_id, only_due=True, due_at=due_at, last_error=storable(why))

    def ended(self, message_id: int, state: Literal["dead", "not_configured", "dropped"], why: str) -> None:
        self._settle(message_id, only_due=True, state=state, last_error=storable(why))

    def revive(self, message_id: int, recipient: str | None, now: datetime) -> Message:
        """The message, due again under a new key, as if it had never been tried.

        ConfigError unless it is dead or not configured: whatever else it is, a new key could make two mails of it.
        """
        with self._engine.begin() as connection:
            row = connection.execute(select(OUTBOX).where(_O.id == message_id).with_for_update()).mappings()
            message = _found(connection, row.one_or_none(), message_id)
            if message.state == "sent":
                when = f"{message.sent_at:%Y-%m-%d %H:%M} UTC"
                raise ConfigError(f"message {message_id} was sent to {message.recipient} on {when}; nothing to do")
            if message.state == "due":
                when = f"{message.due_at:%Y-%m-%d %H:%M:%S} UTC"
                raise ConfigError(f"message {message_id} is due already, at {when}; alert_delivery_sensor sends it")
            if message.state == "dropped":
                raise ConfigError(f"message {message_id} was dropped: {message.last_error}; nothing to do")
            to = recipient or message.recipient
            if to == NOBODY:
                raise ConfigError(
                    f"message {message_id} has no recipient; name one with --to, or set EVALOPS_ALERT_TO for those to "
                    "come"
                )
            values: dict[str, Any] = {
                "state": "due",
                "key": func.gen_random_uuid(),
                "recipient": to,
                "due_at": now,
                "attempts": 0,
                "first_attempt_at": None,
                "leased_until": None,
                "last_error": None,
                "texts_purged_at": None,  # it is composed anew
            }
            statement = update(OUTBOX).where(_O.id == message_id).values(values).returning(OUTBOX)
            return _message(connection, connection.execute(statement).mappings().one())

    def get(self, message_id: int) -> Message:
        """ConfigError, which says how to list them, where there is no such message."""
        with self._engine.connect() as connection:
            row = connection.execute(select(OUTBOX).where(_O.id == message_id)).mappings()
            return _found(connection, row.one_or_none(), message_id)

    def listed(
        self, *, states: Sequence[MessageState] = (), incident_id: int | None = None, limit: int = 100
    ) -> list[Message]:
        """Newest first."""
        query = select(OUTBOX).order_by(_O.id.desc()).limit(limit)
        if states:
            query = query.where(_O.state.in_(list(states)))
        if incident_id is not None:
            query = query.where(_O.id.in_(select(_OI.outbox_id).where(_OI.incident_id == incident_id)))
        with self._engine.connect() as connection:
            return [_message(connection, row) for row in connection.execute(query).mappings().all()]

    def counts(self) -> dict[MessageState, int]:
        """How many there are in each state."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(_O.state, func.count()).group_by(_O.state))
            return {row[0]: row[1] for row in rows}

    def delivered(self, incident_id: int, recipient: str) -> bool:
        """Whether this recipient got the mail by which the incident fires."""
        with self._engine.connect() as connection:
            return told(connection, incident_id).get(recipient) == "sent"

    def _settle(self, message_id: int, *, only_due: bool = False, **values: Any) -> None:
        statement = update(OUTBOX).where(_O.id == message_id).values(leased_until=None, **values)
        if only_due:
            statement = statement.where(_O.state == "due")
        with self._engine.begin() as connection:
            connection.execute(statement)


def _found(connection: Connection, row: RowMapping | None, message_id: int) -> Message:
    if row is None:
        raise ConfigError(f"there is no message {message_id}; `evalops alerts list --all` shows those there are")
    return _message(connection, row)


def _message(connection: Connection, row: RowMapping) -> Message:
    about = select(_OI.incident_id).where(_OI.outbox_id == row["id"]).order_by(_OI.incident_id)
    return Message(**{str(key): value for key, value in row.items()}, incidents=tuple(connection.scalars(about)))
