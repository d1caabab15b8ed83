"""What one free look at an endpoint brought: it answers or not, takes the key or not, lists what it has.

What belongs here: that value, and what two clocks that met say. What does not: asking (providers.look), what it means
for a deployment (run.doctor).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Look:
    """`status` is the HTTP status; `said` the reason that came with it, in words and without any key. Where no answer
    came, `status` is None, and `said` goes on where a sentence about the host begins: `did not answer within 10 s`.

    `code` is the endpoint's own name of its refusal, empty where it gave none. `listed` maps the names in its list to
    their state (empty where it told none), None where the answer was no list; `whole` says that there are no more.
    `ahead_s` is by how many seconds this host's clock is ahead of the endpoint's, see `ahead_s`; None where it told no
    time.
    """

    host: str
    status: int | None
    said: str = ""
    code: str = ""
    listed: Mapping[str, str] | None = None
    whole: bool = True
    ahead_s: float | None = None


def ahead_s(before: datetime, after: datetime, earliest: datetime, latest: datetime) -> float:
    """By how many seconds our clock is ahead of another one at least, negative where it is behind.

    The other read something from `earliest` to `latest` when ours read something from `before` to `after`. 0 where both
    may agree: however long an answer took, it makes no clock look wrong.
    """
    if before > latest:
        return (before - latest).total_seconds()
    return min(0.0, (after - earliest).total_seconds())
