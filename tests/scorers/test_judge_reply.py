"""A judge's reply, read strictly."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalops_core.domain.scorer import Axis
from evalops_core.scorers.judge_reply import Misread, Rating, read_reply, reply_schema

AXES = (Axis("tone", "polite"), Axis("truth", "correct"))
GOOD: dict[str, Any] = {"tone": {"reason": "kind", "score": 4}, "truth": {"reason": "right", "score": 5}}


def with_tone(**changes: Any) -> str:
    return json.dumps({**GOOD, "tone": {**GOOD["tone"], **changes}})


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(GOOD),
        f"\n {json.dumps(GOOD, indent=2)} \n",
        f"```json\n{json.dumps(GOOD)}\n```",
        f"```\n{json.dumps(GOOD, indent=1)}\n```\n",
        json.dumps({**GOOD, "overall": 3, "tone": {**GOOD["tone"], "sure": True}}),
        json.dumps(dict(reversed(GOOD.items()))),
    ],
)
def test_the_object_alone_or_in_a_fence_is_read_in_the_order_of_the_axes(text: str) -> None:
    assert read_reply(text, AXES) == (Rating("tone", 4, "kind"), Rating("truth", 5, "right"))


@pytest.mark.parametrize("score", [0, 6, -1, 4.0, 4.5, "4", True, None, [4], 10**30])
def test_a_score_that_is_no_integer_from_1_to_5_is_named(score: object) -> None:
    assert read_reply(with_tone(score=score), AXES) == Misread(
        "the score of 'tone' is not one of the integers 1, 2, 3, 4, 5"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not one JSON object"),
        ("4", "not one JSON object"),
        ("[1, 2]", "not one JSON object"),
        (json.dumps(GOOD)[:-1], "not one JSON object"),
        (f"My judgment: {json.dumps(GOOD)}", "not one JSON object"),
        (f"It says ```json\n{json.dumps(GOOD)}\n``` but I disagree.", "not one JSON object"),
        (f"{json.dumps(GOOD)}\n{json.dumps(GOOD)}", "not one JSON object"),
        (f"{json.dumps(GOOD)[:-1]}, {json.dumps(GOOD)[1:]}", "not one JSON object"),
        (json.dumps({"tone": GOOD["tone"]}), "'truth' is missing"),
        (json.dumps({**GOOD, "tone": 4}), "'tone' is not an object"),
        (with_tone(reason=None), "reason of 'tone'"),
    ],
)
def test_anything_else_is_misread_with_the_problem(text: str, problem: str) -> None:
    found = read_reply(text, AXES)
    assert isinstance(found, Misread)
    assert problem in found.problem


def test_a_reason_is_stored_as_one_well_formed_line() -> None:
    found = read_reply(with_tone(reason="a\nb\x00c \ud800"), AXES)
    assert not isinstance(found, Misread)
    assert found[0].reason == "a b\ufffdc \ufffd"


def test_the_schema_asks_for_the_reason_before_the_score_and_for_every_axis() -> None:
    schema: Any = reply_schema(AXES)
    assert schema["required"] == ["tone", "truth"]
    assert list(schema["properties"]["tone"]["properties"]) == ["reason", "score"]
    assert schema["additionalProperties"] is False


@settings(deadline=None)
@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_text_is_misread_rather_than_an_error(text: str) -> None:
    assert isinstance(read_reply(text, AXES), Misread)
