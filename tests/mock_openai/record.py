"""What the mock was asked since the last reset, and how each request ended."""

import os
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["generate", "judge", "embed"]


@dataclass
class Entry:
    """One request. `key` is the case id in its text, or the text's digest; `attempt` counts the requests with the same
    text and kind; `outcome` is `pending`, `ok`, a fault's name or status, or `client_gone` (nobody listened any more).
    """

    key: str
    kind: Kind
    attempt: int
    outcome: str = "pending"


@dataclass
class Record:
    """`paid` counts the requests whose answer a real provider bills, those that nobody waited for included."""

    requests: list[Entry] = field(default_factory=list[Entry])
    paid: Counter[tuple[Kind, str]] = field(default_factory=Counter[tuple[Kind, str]])
    sent: Counter[tuple[Kind, bytes]] = field(default_factory=Counter[tuple[Kind, bytes]])
    models: Counter[str] = field(default_factory=Counter[str])
    refused: Counter[str] = field(default_factory=Counter[str])  # requests that never became an entry
    in_flight: int = 0
    max_in_flight: int = 0
    connections: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    first_at: float | None = None
    last_at: float | None = None

    def arrived(self, key: str, kind: Kind, text: bytes, model: str) -> Entry:
        self.first_at = self.first_at or time.time()
        self.sent[kind, text] += 1
        self.models[model] += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        entry = Entry(key, kind, self.sent[kind, text])
        self.requests.append(entry)
        return entry

    def ended(self, entry: Entry, outcome: str) -> None:
        entry.outcome = outcome
        self.in_flight -= 1
        self.last_at = time.time()

    def report(self) -> dict[str, Any]:
        """What `GET /stats` answers."""
        used = os.times()
        span = self.last_at - self.first_at if self.first_at and self.last_at else 0.0
        return {
            "requests": len(self.requests),
            "by_kind": Counter(entry.kind for entry in self.requests),
            "by_outcome": Counter(entry.outcome for entry in self.requests) + self.refused,
            "paid_total": sum(self.paid.values()),
            "paid_again": {f"{kind} {key}": times - 1 for (kind, key), times in self.paid.items() if times > 1},
            "models": self.models,
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "connections": self.connections,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "span_s": round(span, 4),
            "server_cpu_s": round(used.user + used.system, 3),
        }
