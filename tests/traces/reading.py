"""A record as a line of a file, read."""

import json
from datetime import datetime, timezone
from typing import Any

from evalops_core.traces.call import LoggedCall
from evalops_core.traces.lines import calls_of_line

NOON = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
ASKED: list[dict[str, Any]] = [{"role": "user", "content": "Where is my order?"}]


def read(record: Any) -> LoggedCall:
    """The only call that the record tells of."""
    (call,) = calls(record)
    return call


def calls(record: Any) -> list[LoggedCall]:
    found = list(calls_of_line(json.dumps(record)))
    assert all(isinstance(call, LoggedCall) for call in found), found
    return [call for call in found if isinstance(call, LoggedCall)]


def problem(record: Any) -> str:
    """What is wrong with the record; no text of a message may be part of it."""
    (error,) = calls_of_line(record if isinstance(record, str | bytes) else json.dumps(record))
    assert isinstance(error, ValueError)
    assert "secret" not in str(error)
    assert "\n" not in str(error)
    return str(error)
