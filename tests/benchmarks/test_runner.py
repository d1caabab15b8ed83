"""A command's figures are those of all of it, and it can be killed."""

import os
import sys
from pathlib import Path

import pytest

from benchmarks.runner import Watch, run_process

_BURN = "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass\n"


def test_the_processor_s_time_of_children_is_the_command_s(tmp_path: Path) -> None:
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_BURN!r}])"
    usage = run_process([sys.executable, "-c", child], os.environ, tmp_path / "log")
    assert usage.exit_code == 0
    assert usage.cpu_s >= 0.2
    assert usage.peak_mb > 1


def test_what_it_prints_is_kept_and_its_result_read(tmp_path: Path) -> None:
    says = 'print(\'RESULT {"tool": "x", "cases": 2, "scored": 2, "mean": 3.5}\')'
    usage = run_process([sys.executable, "-c", says], os.environ, tmp_path / "log")
    assert usage.result is not None
    assert usage.result.mean == 3.5


def test_it_is_killed_when_the_moment_has_come(tmp_path: Path) -> None:
    called = tmp_path / "called"
    waits = f"import pathlib, time; pathlib.Path({str(called)!r}).touch(); time.sleep(100)"
    watch = Watch(called=called.exists, kill_when=called.exists)
    usage = run_process([sys.executable, "-c", waits], os.environ, tmp_path / "log", watch=watch)
    assert usage.exit_code == -9
    assert usage.cold_s is not None
    assert usage.result is None


def test_one_that_never_ends_is_killed_in_time(tmp_path: Path) -> None:
    usage = run_process(
        [sys.executable, "-c", "import time; time.sleep(100)"], os.environ, tmp_path / "log", timeout_s=0.2
    )
    assert usage.exit_code == -9


@pytest.mark.parametrize("nice", ["", "0"])
def test_a_command_runs_with_or_without_a_priority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nice: str) -> None:
    monkeypatch.setenv("BENCH_NICE", nice)
    assert run_process([sys.executable, "-c", "pass"], os.environ, tmp_path / "log").exit_code == 0
