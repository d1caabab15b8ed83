"""The mock itself: what tests and benchmarks rely on when they read its log."""

import json
from urllib.request import Request, urlopen

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.mock_fixture import MockOpenAI, mock_openai, mock_process, start_mock
from tests.mock_openai.answers import judgment
from tests.mock_openai.settings import Behaviour

__all__ = ["mock_openai", "mock_process"]


def ask(mock: MockOpenAI, text: str, **more: object) -> str:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **more}
    raw = json.dumps(body).encode()
    with urlopen(Request(f"http://127.0.0.1:{mock.port}/v1/chat/completions", data=raw), timeout=10) as answer:
        return json.load(answer)["choices"][0]["message"]["content"]


def test_the_same_question_has_the_same_answer(mock_openai: MockOpenAI) -> None:
    assert ask(mock_openai, "case-001 why?") == ask(mock_openai, "case-001 why?") != ask(mock_openai, "case-002 why?")


def test_the_log_says_what_was_asked_and_how_it_ended(mock_openai: MockOpenAI) -> None:
    ask(mock_openai, "about case-001")
    ask(mock_openai, "about case-001")
    ask(mock_openai, "of no case", response_format={"type": "json_object"})
    log = mock_openai.requests()
    assert [(entry["kind"], entry["attempt"], entry["outcome"]) for entry in log] == [
        ("generate", 1, "ok"),
        ("generate", 2, "ok"),
        ("judge", 1, "ok"),
    ]
    assert [entry["key"] for entry in log[:2]] == ["case-001"] * 2
    assert len(log[2]["key"]) == 32
    stats = mock_openai.stats()
    assert (stats["requests"], stats["paid_total"], stats["paid_again"]) == (3, 3, {"generate case-001": 1})


def test_a_reset_forgets_everything(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(answer_chars=7)
    ask(mock_openai, "x")
    mock_openai.reset()
    assert mock_openai.requests() == []
    assert len(ask(mock_openai, "x")) > 100


def test_it_ends_with_whoever_started_it() -> None:
    process, _ = start_mock()
    with process:
        assert process.stdin
        process.stdin.close()
        assert process.wait(timeout=30) == 0


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ValueError, match="no such setting: rate_404"):
        Behaviour().changed({"rate_404": 1})


@given(st.text(), st.integers(-5, 5), st.integers(0, 5))
def test_judgments_keep_to_the_schemas_bounds(key: str, low: int, span: int) -> None:
    schema = {"type": "object", "properties": {"s": {"type": "integer", "minimum": low, "maximum": low + span}}}
    assert low <= json.loads(judgment(key, schema, ()))["s"] <= low + span
