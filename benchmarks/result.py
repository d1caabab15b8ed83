"""The line that a tool prints when it is done, and how it is found among whatever else the tool prints.

What belongs here: writing and reading that line. What does not: figures (runner). The standard library only: the peers
use this from environments of their own.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

_MARK = "RESULT "
_DIGITS = 0.0006  # ours is stored with three


@dataclass(frozen=True)
class Result:
    """`mean` is that of the scored cases' means, 1–5."""

    tool: str
    cases: int
    scored: int
    mean: float

    def print(self) -> None:
        print(_MARK + json.dumps(asdict(self)), flush=True)


def result_of(tool: str, cases: int, means: Sequence[float]) -> Result:
    """`means` holds one number for each case that was scored."""
    return Result(tool, cases, len(means), round(sum(means) / len(means), 6) if means else 0.0)


def find_result(said: str) -> Result | None:
    """The last one in what a tool printed; None where it got no further or printed something else."""
    for line in reversed(said.splitlines()):
        _, mark, rest = line.partition(_MARK)
        if mark and rest.startswith("{"):
            try:
                fields: dict[str, Any] = json.loads(rest)
                return Result(**fields)
            except (ValueError, TypeError):
                continue
    return None


def disagreement(results: Sequence[Result | None]) -> str | None:
    """Why the figures must not be compared: a case without a score, or different means; None where all agree."""
    known = [result for result in results if result is not None]
    if len(known) < len(results):
        return "a tool printed no result"
    for result in known:
        if result.scored != result.cases:
            return f"{result.tool} scored {result.scored} of {result.cases} cases"
    means = {result.tool: result.mean for result in known}
    if means and max(means.values()) - min(means.values()) > _DIGITS:
        return "the means differ: " + ", ".join(f"{tool} {mean:g}" for tool, mean in means.items())
    return None
