"""What the mock was asked since the last reset, the mails that it took, and the keys that it remembers."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Entry:
    """One request. `outcome` is `pending`, `sent`, `repeated` (the first mail's id again), a status or a fault."""

    key: str | None
    outcome: str = "pending"


@dataclass
class Remembered:
    """A key's first request; `id` is None while that is in flight."""

    body: Any
    at: float
    id: str | None = None


@dataclass
class Record:
    """`mails` are those that were taken, in their order (see `taken`)."""

    requests: list[Entry] = field(default_factory=list[Entry])
    mails: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    keys: dict[str, Remembered] = field(default_factory=dict[str, Remembered])
    in_flight: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def taken(self, body: dict[str, Any], key: str | None, http_headers: dict[str, str]) -> str:
        """A new mail's id. `to` is a list even where it came as a text."""
        to, new = body["to"], str(uuid.uuid4())
        mail: dict[str, Any] = {
            "id": new,
            "key": key,
            "from": body["from"],
            "to": to if isinstance(to, list) else [to],
            **{name: body.get(name) for name in ("subject", "html", "text", "headers")},
            "attachments": body.get("attachments", []),
            "http_headers": http_headers,
        }
        self.mails.append(mail)
        return new

    def remembered(self, key: str, lasts_s: float) -> Remembered | None:
        """The key's first request, if that is not too long ago; one that is in flight is never forgotten."""
        known = self.keys.get(key)
        if known is not None and known.id is not None and time.monotonic() - known.at >= lasts_s:
            del self.keys[key]
            return None
        return known

    async def notify(self) -> None:
        """To be called after every change, so that whoever waits for one looks again."""
        async with self.changed:
            self.changed.notify_all()

    async def wait_until(self, true: Callable[[], bool], timeout_s: float) -> bool:
        """Whether `true()` came to hold within `timeout_s`."""
        async with self.changed:
            try:
                await asyncio.wait_for(self.changed.wait_for(true), timeout_s)
            except asyncio.TimeoutError:
                return False
        return True

    def report(self) -> dict[str, Any]:
        """What `GET /stats` answers. `mails_again` are keys under which more than one mail was taken."""
        keyed = Counter(mail["key"] for mail in self.mails if mail["key"])
        return {
            "requests": len(self.requests),
            "mails": len(self.mails),
            "in_flight": self.in_flight,
            "by_outcome": Counter(entry.outcome for entry in self.requests),
            "mails_again": {key: times - 1 for key, times in keyed.items() if times > 1},
        }
