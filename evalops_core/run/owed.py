"""Messages that a transaction owes, gathered so that one mail tells of all that happened at once.

What belongs here: who is told of which incidents together. What does not: when they are owed (detect, watch), what is
said (letters).
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from evalops_core.domain.incident import Incident, is_silent
from evalops_core.store.alerting import Alerting
from evalops_core.store.outbox import NOBODY, Transition, enqueue, told


@dataclass
class Owed:
    """Messages still to be written: who is to be told of which incidents in one mail. `group` keeps mails apart."""

    _by: dict[tuple[str, Transition, str], list[int]] = field(
        default_factory=dict[tuple[str, Transition, str], list[int]]
    )

    def fires(self, group: str, incident: Incident, recipients: Collection[str]) -> None:
        """Everybody is told, unless it is silenced; where there is nobody, the message is kept for whoever looks."""
        if incident.state != "firing":
            return
        for recipient in recipients or (NOBODY,):
            self._by.setdefault((group, "firing", recipient), []).append(incident.id)

    def resolves(self, group: str, incident: Incident, tables: Alerting, now: datetime) -> None:
        """Those are told who got the firing mail, or still may; nobody while it is silenced."""
        if is_silent(incident.silenced_until, now):
            return
        for recipient, state in told(tables.connection, incident.id).items():
            if state in ("sent", "due"):
                self._by.setdefault((group, "resolved", recipient), []).append(incident.id)

    def write(self, tables: Alerting, now: datetime) -> int:
        """How many messages that came to."""
        made = [
            enqueue(tables.connection, transition, recipient, incidents, now)
            for (_, transition, recipient), incidents in self._by.items()
        ]
        return sum(message is not None for message in made)
