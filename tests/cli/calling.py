"""The command called in this process, and what it says; for what needs no process of its own."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from evalops_dagster.cli import main
from tests.builders import write_suite


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


def settle(
    monkeypatch: pytest.MonkeyPatch, folder: Path, database_url: SecretStr, *, cases: int, torn: bool = False
) -> None:
    """The environment of a deployment over that database: a suite `orders`, and with `torn` one of that name that
    cannot be read; no endpoint answers."""
    write_suite(folder / "suites", "http://127.0.0.1:9/v1", cases=cases)
    if torn:
        write_suite(folder / "suites", "http://127.0.0.1:9/v1", feature="torn", yaml="description: [")
    monkeypatch.setenv("EVALOPS_DATABASE_URL", database_url.get_secret_value())
    monkeypatch.setenv("EVALOPS_HOME", str(folder / "home"))
    monkeypatch.setenv("EVALOPS_SUITES", str(folder / "suites"))
