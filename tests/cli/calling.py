"""The command called in this process, and what it says; for what needs no process of its own."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from evalops_dagster.cli import main


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str


Evalops = Callable[..., Said]


def caller(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Evalops:
    """`evalops` as the console script calls it."""

    def evalops(*arguments: str) -> Said:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["evalops", *arguments])
            capsys.readouterr()
            with pytest.raises(SystemExit) as ended:
                main()
        printed = capsys.readouterr()
        code = ended.value.code
        return Said(code if isinstance(code, int) else int(code is not None), printed.out, printed.err)

    return evalops
