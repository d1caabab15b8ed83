"""A logged call → the trace that is kept of it.

What belongs here: what every trace must have, whoever writes it, and what goes through redaction. What does not: the
shapes in which calls are logged (traces), storing (store.traces).
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Final

from evalops_core.domain.json import Json, canonical
from evalops_core.domain.trace import Trace
from evalops_core.run.redaction import Redact, redacted
from evalops_core.store.storable import storable
from evalops_core.suites.file_model import NAME, NAME_RULE
from evalops_core.traces.call import BadRecordError, LoggedCall, Message, ensure_flat, entries

_AHEAD: Final = timedelta(days=1)  # clocks differ, but not by more
_LONGEST_ID: Final = 300  # characters; an index of PostgreSQL's takes no more than some 2,700 bytes
_LONGEST_SHOWN: Final = 63


def trace_of(call: LoggedCall, *, feature: str | None, redact: Redact | None, now: datetime) -> Trace:
    """The trace, redacted and fit for PostgreSQL. `feature` is that of calls which name none themselves.

    A call without an id gets one from its content, the redacted: from a hash of the other a short secret in it could be
    guessed. Equal calls of one moment are one trace then. BadRecordError where a call cannot be kept.
    """
    ensure_flat(call.messages)
    name = _feature(call.feature or feature, redact)
    if call.created_at > now + _AHEAD:
        raise BadRecordError("expected a time that is over; found one more than a day ahead")
    if call.id is not None and len(call.id) > _LONGEST_ID:
        raise BadRecordError(f"expected an id of at most {_LONGEST_ID} characters; found {len(call.id)}")
    messages = [_kept(message, redact) for message in call.messages]
    error = call.error if call.error is None or redact is None else redact(call.error)
    moment, model, error = call.created_at.astimezone(timezone.utc), storable(call.model), storable(error)
    return Trace(
        id=_hash([name, moment.isoformat(), messages, model, error]) if call.id is None else storable(call.id),
        feature=name,
        created_at=moment,
        messages=messages,
        model=model,
        error=error,
    )


def _feature(name: str | None, redact: Redact | None) -> str:
    if name is None:
        raise BadRecordError(
            "expected the feature as `feature` or `metadata.feature`, of a span as the attribute evalops.feature, or "
            "for all by --feature; found none"
        )
    if not NAME.fullmatch(name):
        word = len(name) <= _LONGEST_SHOWN and name.isprintable() and " " not in name  # else perhaps no name at all
        found = repr(redact(name) if redact else name) if word else f"text of {len(name)} characters"
        raise BadRecordError(f"expected a feature's name, {NAME_RULE}; found {found}")
    return name


def _kept(message: Message, redact: Redact | None) -> Message:
    whole = dict(message)
    return entries(_storable(whole if redact is None else redacted(whole, redact)))


def _storable(value: Json) -> Json:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [_storable(item) for item in value]
    return {storable(key): _storable(item) for key, item in value.items()} if isinstance(value, dict) else value


def _hash(content: Sequence[Json]) -> str:
    """All of it: unlike the hashes that people read, this one must tell billions of calls apart."""
    return hashlib.sha256(canonical(content).encode()).hexdigest()
