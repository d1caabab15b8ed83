"""A deployment's own function that takes out of texts what must not be stored."""

import sys
from pathlib import Path
from typing import Any

import pytest

from evalops_core.domain.json import Json
from evalops_core.errors import ConfigError
from evalops_core.run.redaction import load_redaction, redacted
from evalops_core.traces.call import BadRecordError


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module `ours_to_redact` in the current directory."""
    (tmp_path / "ours_to_redact.py").write_text(_MODULE)
    monkeypatch.chdir(tmp_path)
    for name in [name for name in sys.modules if name.startswith("ours_to_redact")]:
        monkeypatch.delitem(sys.modules, name)


def test_a_module_of_the_current_directory_is_found_and_the_directory_is_importable_no_longer(tmp_path: Path) -> None:
    before = list(sys.path)
    redact = load_redaction("ours_to_redact:masked")
    assert redact is not None
    assert redact("call 0151 now") == "call # now"
    assert sys.path == before
    assert load_redaction("ours_to_redact:Inner.masked") is not None
    assert load_redaction(None) is None


def test_every_text_is_redacted_but_what_says_what_it_is() -> None:
    given: dict[str, Json] = {
        "role": "user",
        "type": "7",
        "content": [{"type": "text", "text": "7"}, {"type": "x 7", "url": "7"}, "7"],
        "7": [7, None, True, {"arguments": '{"n": "7"}'}, {"type": "Johnson", "role": "Johnson"}],
    }
    wanted = {
        "role": "user",
        "type": "#",
        "content": [{"type": "text", "text": "#"}, {"type": "x #", "url": "#"}, "#"],
        "7": [7, None, True, {"arguments": '{"n": "#"}'}, {"type": "#", "role": "#"}],
    }
    assert redacted(given, lambda text: text.replace("7", "#").replace("Johnson", "#")) == wanted


@pytest.mark.parametrize("function", ["raising", "leaving", "none", "bytes_"])
def test_a_call_that_goes_wrong_is_said_without_the_text(function: str) -> None:
    redact = load_redaction(f"ours_to_redact:{function}")
    assert redact is not None
    with pytest.raises(BadRecordError) as raised:
        redact("secret")
    assert f"expected ours_to_redact:{function} to return the redacted text; it " in str(raised.value)
    error: BaseException | None = raised.value
    while error is not None:
        assert "secret" not in repr(error)
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("ours_to_redact", "expected package.module:function, not 'ours_to_redact'"),
        ("no_such_module:f", "no_such_module cannot be imported (ModuleNotFoundError: No module named"),
        ("ours_to_redact:nothing", "ours_to_redact has no plain function nothing; write one from str to str"),
        ("ours_to_redact:number", "ours_to_redact has no plain function number"),
        ("ours_to_redact:later", "ours_to_redact has no plain function later"),
    ],
)
def test_a_function_that_cannot_be_had_is_an_error_of_the_configuration(function: str, reason: Any) -> None:
    with pytest.raises(ConfigError) as raised:
        load_redaction(function)
    assert str(raised.value).startswith(f"EVALOPS_TRACE_REDACTION: {reason}")


_MODULE = """
import re

number = 3

def masked(text):
    return re.sub("[0-9]+", "#", text)

class Inner:
    masked = staticmethod(masked)

def raising(text):
    raise ValueError(text)

def leaving(text):
    raise SystemExit(text)

def none(text):
    pass

def bytes_(text):
    return text.encode()

async def later(text):
    return text
"""
