"""How the mock behaves; every field is a flag of the command line and a key of `POST /config`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any


@dataclass(frozen=True)
class Behaviour:
    """Rates are shares of the requests, drawn from (seed, messages, how often they came): the order in which requests
    arrive changes nothing, and a retry draws anew. The rates of one request are tried in the order they stand here.
    """

    seed: int = 1
    latency_ms: float = 0.0
    judge_latency_ms: float = -1.0  # negative: as latency_ms
    latency_sigma: float = 0.0  # standard deviation of ln(latency); 0: every answer takes exactly the latency
    rate_429: float = 0.0  # at once
    rate_500: float = 0.0
    rate_reset: float = 0.0  # the connection is reset instead of an answer
    rate_hang: float = 0.0  # no answer for hang_s, then the connection is closed
    rate_cutoff: float = 0.0  # the connection closes in the middle of the body
    rate_truncated: float = 0.0  # a whole HTTP answer with half of its JSON
    rate_badjson: float = 0.0  # judge only: the content of the answer is half of its JSON
    rate_badscore: float = 0.0  # judge only: JSON that breaks the contract (a score of 9, everything else missing)
    hang_s: float = 120.0
    retry_after: str = "1"  # header of a 429; empty: none
    retry_after_ms: str = ""
    rps_limit: float = 0.0  # more requests a second than this (and as many at once) are answered 429; 0: any number
    inflight_limit: int = 0  # more requests than this at a time are answered 429; 0: any number
    fail_status: int = 0  # answers of this status come before all rates; 0: none
    fail_times: int = 0  # for the first so many tries of the same messages; 0: always
    fail_code: str = ""
    fail_message: str = "The server was told to fail"
    raw_body: str = ""  # sent as the body of a 200, as it is
    require_key: str = ""  # 401 for every other bearer key
    echo_headers: bool = False  # error messages repeat the request's Authorization header, and the key alone
    takes_schema: bool = True  # False: 400 for a response_format of type json_schema
    content: str = "text"  # text | parts | null | empty | refusal | filtered | tool_call
    usage: bool = True
    resolved_model: str = ""  # the model that answers claim; empty: the one that was asked for
    answer_chars: int = 400
    axes: str = "accuracy,completeness,clarity"  # of a judgment that was asked for without a schema
    dimensions: int = 64  # of an embedding

    def changed(self, changes: Mapping[str, Any]) -> "Behaviour":
        """ValueError for a key that is no field or a value of another type."""
        unknown = sorted(changes.keys() - {item.name for item in fields(self)})
        if unknown:
            raise ValueError(f"no such setting: {', '.join(unknown)}")
        return replace(self, **{name: _like(getattr(Behaviour, name), value) for name, value in changes.items()})

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def _like(default: object, value: Any) -> Any:
    """`value`, perhaps a string from the command line, as the type of `default`."""
    if isinstance(default, bool):
        return value is True or str(value).lower() in ("1", "true", "yes")
    return type(default)(value) if isinstance(default, (int, float)) else str(value)
