"""The work that every tool is given: N cases, and for each one answer and one judgment on three axes.

What belongs here: the cases, how long they take at best, and the files that describe them. What does not: doing it. The
standard library only: the peers read this from environments of their own.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

AXES = ("accuracy", "completeness", "clarity")
MODEL, JUDGE = "gpt-4o-mini", "gpt-4o"  # names that every tool knows how to ask, and has prices for
FEATURE = "bench"

_NOTES = (
    "A parcel that nobody collects goes back to its sender after a week.",
    "What was paid by card returns to the same card within five working days.",
    "The link that resets a password is good for an hour, and once.",
    "Numbers of invoices begin with the year and the month.",
    "Repairs are covered for two years, the work of fitting parts for one.",
    "A workspace's owners are added and removed by owners alone.",
    "Exports hold fifty thousand rows at most and are kept for three days.",
    "Who changes plans amid a month pays by the day.",
)
_SUITE = """\
description: Answers customers' questions from notes.
owner: team:bench
model: {{name: {model}, base_url: "{base_url}", parameters: {{temperature: 0}}}}
prompt:
  - {{role: user, content: "{{{{ input }}}}"}}
scorers:
  - type: judge
    rubric:
      axes:
        - {{name: accuracy, description: 5 says what the notes and the reference say and nothing else.}}
        - {{name: completeness, description: 5 leaves out nothing of the reference.}}
        - {{name: clarity, description: 5 is understood at the first reading.}}
repeats: 1
interval: 24
"""


class CaseLine(TypedDict):
    """A line of cases.jsonl."""

    id: str
    input: str
    reference: str


@dataclass(frozen=True)
class Work:
    """`latency_ms` is what each call takes at the endpoint, `in_flight` how many there may be at a time."""

    cases: int = 1000
    latency_ms: float = 20
    in_flight: int = 50

    @property
    def ideal_s(self) -> float:
        """What two calls a case take where nothing else does; no client can be quicker."""
        return 2 * self.cases * self.latency_ms / 1000 / self.in_flight

    def __str__(self) -> str:
        return f"N={self.cases:,}, L={self.latency_ms:g} ms, C={self.in_flight}"


def case_lines(count: int, trial: int = 0) -> Iterator[CaseLine]:
    """The same ones each time. The id stands in the input too: by it the mock knows a case, whatever is around it.

    Those of another `trial` are worded differently, so that no tool's cache knows them, and get the same scores.
    """
    drawn = random.Random(20)
    for number in range(count):
        notes = drawn.sample(_NOTES, 6)
        asked = (
            f"[case-{number:06d}] Customer {trial + 1} has a question. Answer it from these notes.\n- "
            + "\n- ".join(notes)
        )
        yield {"id": f"case-{number:06d}", "input": asked, "reference": notes[number % 6]}


def write_suite(suites: Path, base_url: str, cases: int, trial: int = 0) -> Path:
    """Our suite of these cases; its cases.jsonl is what the peers read as well."""
    folder = suites / FEATURE
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "suite.yaml").write_text(_SUITE.format(model=MODEL, base_url=base_url))
    with (folder / "cases.jsonl").open("w") as file:  # a line at a time: a process starts with its parent's peak memory
        file.writelines(json.dumps(line) + "\n" for line in case_lines(cases, trial))
    return folder
