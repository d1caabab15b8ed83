"""A judge's reply, read strictly.

What belongs here: the shape that is asked for, and what counts as having kept to it. What does not: asking again
(judge), prompts (judge_prompt).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evalops_core.domain.json import Json
from evalops_core.domain.scorer import Axis
from evalops_core.scorers.json_reader import read_object
from evalops_core.scorers.text import excerpt

_FENCED = re.compile(r"```\w*[ \t]*\n(.*)\n[ \t]*```", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Rating:
    """What the judge says of one axis; `score` is one of 1, 2, 3, 4, 5."""

    axis: str
    score: int
    reason: str


@dataclass(frozen=True, slots=True)
class Misread:
    """Why a reply is not a judgment, in words that the judge itself can act on."""

    problem: str


def reply_schema(axes: Sequence[Axis]) -> dict[str, Json]:
    """A JSON Schema that strict structured-output modes accept. The reason stands before the score it leads to."""
    one: dict[str, Json] = {
        "type": "object",
        "properties": {"reason": {"type": "string"}, "score": {"type": "integer", "enum": [1, 2, 3, 4, 5]}},
        "required": ["reason", "score"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {axis.name: one for axis in axes},
        "required": [axis.name for axis in axes],
        "additionalProperties": False,
    }


def read_reply(text: str, axes: Sequence[Axis]) -> tuple[Rating, ...] | Misread:
    """A rating per axis, in their order; unknown keys are ignored.

    The reply must be the JSON object and nothing else, or that in one code fence: an object that is searched for
    among prose might be one that the judge quotes from the answer.
    """
    stripped = text.strip()
    fenced = _FENCED.fullmatch(stripped)
    reply = read_object(fenced[1] if fenced else stripped, refuse_doubles=True)
    if reply is None:
        return Misread("the reply is not one JSON object (no text before or after it, no key twice)")
    ratings: list[Rating] = []
    for axis in axes:
        rating = _rating(axis.name, reply)
        if isinstance(rating, Misread):
            return rating
        ratings.append(rating)
    return tuple(ratings)


def _rating(name: str, reply: Mapping[str, Json]) -> Rating | Misread:
    if name not in reply:
        return Misread(f"the key {name!r} is missing")
    entry = reply[name]
    if not isinstance(entry, Mapping):
        return Misread(f'{name!r} is not an object with "reason" and "score"')
    score, reason = entry.get("score"), entry.get("reason")
    if isinstance(score, bool) or not isinstance(score, int) or not 1 <= score <= 5:
        return Misread(f"the score of {name!r} is not one of the integers 1, 2, 3, 4, 5")
    if not isinstance(reason, str):
        return Misread(f"the reason of {name!r} is not a string")
    return Rating(name, score, excerpt(reason, 1000))
