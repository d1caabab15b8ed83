"""Folders of suites for tests: a small good one, changed where a test needs it."""

from pathlib import Path

import pytest

from evalops_core.errors import ConfigError
from evalops_core.suites.loader import load_suite

YAML = """\
description: Explains a word.
prompt:
  - role: user
    content: "Explain {{ word }}"
scorers:
  - type: exact
"""
CASES = '{"id": "a", "input": {"word": "bank"}, "reference": "money"}\n'


def write_suite(root: Path, name: str = "explain", *, yaml: str | bytes = YAML, cases: str | bytes = CASES) -> Path:
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in (("suite.yaml", yaml), ("cases.jsonl", cases)):
        (folder / file).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def refusal(folder: Path) -> ConfigError:
    """What the suite is refused with: one line, leading with its place."""
    with pytest.raises(ConfigError) as caught:
        load_suite(folder)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.startswith(str(caught.value.file))
    return caught.value


def with_scorer(*lines: str) -> str:
    """The good suite with other scorers; the first scorer's first line is line 6."""
    return YAML.replace("  - type: exact\n", "".join(f"  {line}\n" for line in lines))
