"""How the mock behaves; every field is a flag of the command line and a key of `POST /config`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

FAULTS = (
    "",
    "refuse",  # `status`, `name` and `message`, before the mail is taken
    "reset_before",  # the connection is reset, and the mail was not taken
    "reset_after",  # the connection is reset, and the mail was taken
    "hang_before",  # no answer, and the mail was not taken
    "hang_after",  # no answer, but the mail was taken
    "trickle",  # the mail is taken, and the answer comes a byte every `trickle_s`
    "truncated",  # the mail is taken, and half of the answer's JSON comes
    "web_page",  # the mail is taken, and the answer is HTML
    "raw",  # the mail is taken, and the answer is `raw_body`
)


@dataclass(frozen=True)
class Behaviour:
    """A `fault` hits the first `fault_times` requests after it was set (0: every one), then the mock works.

    `hold` lets requests wait, in flight, until it is set to something else: before a mail is taken (`before`) or
    before the answer (`after`). A held request whose client is gone goes on, as at a real server.
    """

    api_key: str = "re_mock_key"  # 401 without a bearer key, 403 for another one
    restricted: bool = False  # the key may send, and is refused everything else
    domains: str = "example.com"  # verified ones, separated by commas
    fault: str = ""
    fault_times: int = 0
    status: int = 500  # of the fault `refuse`, as the next three
    name: str = "application_error"
    message: str = "The server was told to fail"
    retry_after: str = ""  # the header of a refusal; empty: none
    echo_key: bool = False  # a refusal's message repeats the request's Authorization header
    hold: str = ""
    delay_s: float = 0.0  # before a mail is taken
    trickle_s: float = 0.2
    raw_body: str = "{}"
    keys_last_s: float = 86_400.0

    def changed(self, changes: Mapping[str, Any]) -> "Behaviour":
        """ValueError for a key that is no field, a value of another type, or an unknown fault or hold."""
        unknown = sorted(changes.keys() - {item.name for item in fields(self)})
        if unknown:
            raise ValueError(f"no such setting: {', '.join(unknown)}")
        new = replace(self, **{name: _like(getattr(Behaviour, name), value) for name, value in changes.items()})
        if new.fault not in FAULTS or new.hold not in ("", "before", "after"):
            raise ValueError(f"no such fault or hold: {new.fault or new.hold}")
        return new

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def _like(default: object, value: Any) -> Any:
    """`value`, perhaps a string from the command line, as the type of `default`."""
    if isinstance(default, bool):
        return value is True or str(value).lower() in ("1", "true", "yes")
    return type(default)(value) if isinstance(default, (int, float)) else str(value)
