"""What happens in each hour of the week: who is late, what is killed, which scores are low. Drawn from a seed.

What belongs here: the plan, as values. What does not: carrying it out (week, strikes).
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from benchmarks.soak.features import ORDERS, RETURNS

Start = Literal["together", "one late", "other late", "one after", "other after"]
Strike = Literal[
    "worker while answering",
    "worker while judging",
    "worker while committing",
    "worker and code server while answering",
    "code server alone while answering",
    "everything of one deployment while judging",
    "daemon with its run queued",
    "daemon amid its tick",
    "web server while a run goes on",
    "daemons and code servers after a score has changed",
]
STARTS: tuple[Start, ...] = get_args(Start)
AFTER: Strike = "daemons and code servers after a score has changed"
STRIKES: tuple[Strike, ...] = tuple(strike for strike in get_args(Strike) if strike != AFTER)
_TIMES = 2  # each strike of a long enough week
_FALLS: tuple[tuple[float, float, frozenset[str]], ...] = (
    (0.2, 0.26, frozenset({ORDERS})),
    (0.45, 0.5, frozenset({RETURNS})),
    (0.7, 0.76, frozenset({ORDERS, RETURNS})),
)


@dataclass(frozen=True)
class Hour:
    """`late` deployments see the hour begin when the other's run holds the gate (`late`) or has ended (`after`).

    `fallen` are the features whose answers are bad in this hour.
    """

    number: int
    start: Start
    strike: Strike | None
    fallen: frozenset[str]


def plan(windows: int, seed: int) -> Sequence[Hour]:
    """Each strike twice if there is room, in other hours than those in which a score changes; at half of these,
    daemons and code servers are killed when the run is done."""
    drawn = random.Random(seed)
    fallen = [_fallen(number, windows) for number in range(windows)]
    changes = [number for number in range(1, windows) if fallen[number] != fallen[number - 1]]
    quiet = [number for number in range(1, windows - 1) if number not in changes]
    strikes = list(STRIKES) * _TIMES
    struck = drawn.sample(quiet, min(len(strikes), len(quiet) // 2))
    drawn.shuffle(struck)
    by_hour: dict[int, Strike] = dict(zip(struck, strikes, strict=False))
    by_hour |= dict.fromkeys(changes[::2], AFTER)
    return [
        Hour(
            number=number,
            # a strike is one only where another deployment's run waits behind the one that is struck
            start="together" if number in struck else drawn.choice(STARTS),
            strike=by_hour.get(number),
            fallen=fallen[number],
        )
        for number in range(windows)
    ]


def incidents(hours: Sequence[Hour]) -> int:
    """How many falls these hours hold, each feature for itself."""
    before: frozenset[str] = frozenset()
    opened = 0
    for hour in hours:
        opened += len(hour.fallen - before)
        before = hour.fallen
    return opened


def _fallen(number: int, windows: int) -> frozenset[str]:
    low: frozenset[str] = frozenset()
    for begin, end, features in _FALLS:
        first = max(1, round(begin * windows))
        if first <= number < max(first + 1, round(end * windows)):
            low |= features
    return low
