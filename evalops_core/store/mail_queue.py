"""The outbox as a whole: how many messages there are of each kind, and for how long the oldest waits.

What belongs here: counting within a transaction of the caller's. What does not: single messages (outbox), what a queue
says about the system (run).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select, text

from evalops_core.store.outbox import MessageState
from evalops_core.store.tables import OUTBOX

_O = OUTBOX.c
_LATELY = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class MailQueue:
    """`messages` counts those of each state, test mails left out; `owed_since` is since when the oldest one that is due
    waits for its delivery, None where none is due. One that will be due later does not wait yet; one that was tried
    waits since its first attempt. `given_up_lately` counts the dead ones of the last seven days."""

    messages: Mapping[MessageState, int]
    owed_since: datetime | None
    given_up_lately: int = 0


def mail_queue(connection: Connection, now: datetime) -> MailQueue:
    counted = select(_O.state, func.count()).where(_O.transition != "test").group_by(_O.state)
    since = func.least(func.coalesce(_O.first_attempt_at, _O.due_at), _O.due_at)
    oldest = select(func.min(since)).where(text("outbox.state = 'due'"), _O.transition != "test")
    owed_since = connection.execute(oldest).scalar_one()
    messages = {row[0]: row[1] for row in connection.execute(counted)}
    dead = (_O.state == "dead") & (_O.transition != "test") & (_O.created_at > now - _LATELY)
    given_up = connection.execute(select(func.count()).where(dead)).scalar_one()
    return MailQueue(messages, owed_since if owed_since is not None and owed_since <= now else None, given_up)
