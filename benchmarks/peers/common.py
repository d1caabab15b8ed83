"""What a peer's script is told, and what the judge is asked.

What belongs here: reading the environment, the judge's prompt and the form of its reply, which is that of our own
judge, so that the mock gives every tool the same scores. What does not: any tool. The standard library only.
"""

import json
import os
from pathlib import Path
from typing import Any

from benchmarks.work import AXES, CaseLine

BASE_URL = os.environ.get("BENCH_BASE_URL", "")
IN_FLIGHT = int(os.environ.get("BENCH_IN_FLIGHT", "1"))
OUT = Path(os.environ.get("BENCH_OUT", "."))
RESUMES = os.environ.get("BENCH_RESUME") == "1"

JUDGE_PROMPT = """You judge an answer on three axes, accuracy, completeness and clarity, each by an integer from 1 to 5
and a short reason. Reply with JSON only: {{"accuracy": {{"reason": "…", "score": n}}, "completeness": …, "clarity": …}}

Question: {input}

Reference: {reference}

Answer: {answer}"""

_ONE: dict[str, Any] = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "score": {"type": "integer", "enum": [1, 2, 3, 4, 5]}},
    "required": ["reason", "score"],
    "additionalProperties": False,
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": dict.fromkeys(AXES, _ONE),
    "required": list(AXES),
    "additionalProperties": False,
}


def read_cases() -> list[CaseLine]:
    with Path(os.environ["BENCH_CASES"]).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def scores_in(reply: str) -> dict[str, int]:
    """By axis. ValueError, KeyError or TypeError for a reply of another form."""
    fields: dict[str, Any] = json.loads(reply)
    found = {axis: fields[axis]["score"] for axis in AXES}
    if not all(type(score) is int and 1 <= score <= 5 for score in found.values()):
        raise ValueError(f"no scores: {reply[:100]}")
    return found


def mean_of(scores: dict[str, int]) -> float:
    return sum(scores[axis] for axis in AXES) / len(AXES)
