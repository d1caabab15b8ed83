"""The model server's own record of what it was asked: one JSON object a line, never a text.

What belongs here: the format and the appending. What does not: deciding what a request is (server).

A request leaves two lines with the same `id`: `arrived` when its body was read, `finished` when it was answered or
given up (`aborted`: the client went away or the server stopped). An arrival alone means that the server was killed.
The body's hash tells whether two requests asked the same thing: a case that was paid for twice shows as two finished
lines with one `body_sha256`.
"""

import hashlib
import json
import os
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

KEEP_BYTES = 64 * 1024 * 1024


@dataclass
class Outcome:
    """What the handler fills in while it works; `status` 0 means that no answer was sent."""

    status: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    engine: int | None = None
    queued_s: float = 0.0


class RequestLog:
    """Appends to `path`, each line in a single write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open = 0
        self._quiet_since = time.monotonic()
        rotate(path, KEEP_BYTES)

    def quiet_s(self) -> float:
        """Seconds since the last request ended, or since this log was opened; 0 while a request is open."""
        return 0.0 if self._open else time.monotonic() - self._quiet_since

    @contextmanager
    def record(self, kind: Literal["chat", "embeddings"], body: bytes) -> Generator[Outcome, None, None]:
        """Logs the arrival, then on leaving the finish, whatever the reason for leaving."""
        facts = {"id": uuid.uuid4().hex, "kind": kind, "body_sha256": hashlib.sha256(body).hexdigest()}
        self._append({"event": "arrived", **facts})
        outcome, started, finished = Outcome(), time.monotonic(), False
        self._open += 1
        try:
            yield outcome
            finished = True
        finally:
            self._open -= 1
            self._quiet_since = time.monotonic()
            self._append(
                {
                    "event": "finished",
                    **facts,
                    "aborted": not finished,
                    "status": outcome.status or None,
                    "prompt_tokens": outcome.prompt_tokens,
                    "completion_tokens": outcome.completion_tokens,
                    "engine": outcome.engine,
                    "queued_s": round(outcome.queued_s, 4),
                    "duration_s": round(time.monotonic() - started, 4),
                }
            )

    def _append(self, entry: dict[str, Any]) -> None:
        line = json.dumps({"time": datetime.now(timezone.utc).isoformat(), **entry}) + "\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


def rotate(path: Path, limit: int) -> None:
    """Moves a file over `limit` bytes aside as `NAME.1`, replacing the one before: two of them are kept at most."""
    with suppress(FileNotFoundError):
        if path.stat().st_size > limit:
            path.replace(path.with_name(path.name + ".1"))
