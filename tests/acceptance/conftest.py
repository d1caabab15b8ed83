"""The command as its users start it: a process of its own, over a database and an endpoint of the test's."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.builders import environment
from tests.mock_fixture import MockOpenAI, mock_openai, mock_process

__all__ = ["mock_openai", "mock_process"]

PROJECT = Path(__file__).parents[2]


@dataclass
class Command:
    """`evalops` with the environment of one deployment."""

    environment: dict[str, str]
    started: list["subprocess.Popen[str]"] = field(default_factory=list["subprocess.Popen[str]"])

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "evalops_dagster.cli", *arguments],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def run(self, *arguments: str, timeout_s: float = 120) -> "subprocess.CompletedProcess[str]":
        process = self.start(*arguments)
        out, err = process.communicate(timeout=timeout_s)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def deployment(database_url: SecretStr, mock_openai: MockOpenAI, tmp_path: Path) -> Iterator[Callable[[], Command]]:
    """Makes commands over the test's database, suites in `tmp_path/suites`, each with a Dagster home of its own."""
    commands: list[Command] = []

    def make() -> Command:
        home = tmp_path / f"dagster home {len(commands)}"
        home.mkdir()
        shutil.copy(PROJECT / "dagster.yaml", home)
        shutil.copy(PROJECT / "workspace.yaml", home)
        variables = environment(database_url, tmp_path / "home", tmp_path / "suites", mock_openai.base_url)
        commands.append(Command({**variables, "DAGSTER_HOME": str(home)}))
        return commands[-1]

    yield make
    for command in commands:
        for process in command.started:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def evalops(deployment: Callable[[], Command]) -> Command:
    return deployment()
