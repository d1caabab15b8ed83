"""Traces from within an application: a call of a model is written where it was made.

What belongs here: the connection that an application holds for it. What does not: what a trace must have
(run.trace_rules), statements (store.traces). Nothing here logs: texts of production belong in no log.
"""

import os
import threading
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from types import TracebackType
from typing import Any, cast

import orjson

from evalops_core.domain.json import Json
from evalops_core.run.redaction import load_redaction
from evalops_core.run.trace_rules import trace_of
from evalops_core.settings import Settings, load_settings
from evalops_core.store.traces import Traces
from evalops_core.traces.call import BadRecordError, LoggedCall
from evalops_core.traces.messages import chat_messages
from evalops_core.wiring.database import open_store


class TraceWriter:
    """Writes traces to the store of the settings, from any thread; a context manager that closes its connections.

    It belongs to the process that made it: after a fork, make another.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        """DatabaseError where the store cannot be used, ConfigError where the redaction cannot be imported."""
        settings = settings or load_settings()
        self._redact = load_redaction(settings.trace_redaction)
        self._engine = open_store(settings)
        self._traces = Traces(self._engine)

    def write(
        self,
        feature: str,
        messages: Sequence[Mapping[str, Any]],
        *,
        id: str | None = None,  # noqa: A002 - the column's name
        created_at: datetime | None = None,
        model: str | None = None,
        error: str | None = None,
    ) -> str:
        """Store a call with the messages that the model was given, in OpenAI's form; returns the trace's id.

        It was made now where `created_at` is None; one without an offset is UTC. `error` says why a call was not
        answered. A trace whose id is stored already is left as it is. ValueError, a sentence that holds none of the
        texts, for a call that cannot be kept: no usable feature, no messages, a time to come, a failed redaction.
        """
        now = datetime.now(timezone.utc)
        moment = created_at or now
        call = LoggedCall(
            id=id or str(uuid.uuid4()),
            feature=feature,
            created_at=moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc),
            messages=chat_messages(_plain(messages)),
            model=model or None,
            error=error or None,
        )
        trace = trace_of(call, feature=None, redact=self._redact, now=now)
        self._traces.insert([trace])
        return trace.id

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> "TraceWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_LOCK = threading.Lock()
_WRITERS: dict[int, TraceWriter] = {}  # by process: connections must not be shared with a parent's


def write_trace(
    feature: str,
    messages: Sequence[Mapping[str, Any]],
    *,
    id: str | None = None,  # noqa: A002 - the column's name
    created_at: datetime | None = None,
    model: str | None = None,
    error: str | None = None,
    settings: Settings | None = None,
) -> str:
    """As `TraceWriter.write`, by one writer of the process that is made at the first call and kept.

    With `settings` a writer is made for this call alone; for many, keep a `TraceWriter`.
    """
    if settings is not None:
        with TraceWriter(settings) as writer:
            return writer.write(feature, messages, id=id, created_at=created_at, model=model, error=error)
    writer = _of_this_process()
    return writer.write(feature, messages, id=id, created_at=created_at, model=model, error=error)


def _of_this_process() -> TraceWriter:
    with _LOCK:
        pid = os.getpid()
        if pid not in _WRITERS:
            _WRITERS[pid] = TraceWriter()
        return _WRITERS[pid]


def _plain(messages: object) -> Json:
    """As JSON has them: what it has not is refused here, not by the database."""
    try:
        return cast("Json", orjson.loads(orjson.dumps(messages)))
    except (TypeError, ValueError):
        raise BadRecordError(
            "expected `messages` to be a list of objects that JSON has; found something else"
        ) from None
