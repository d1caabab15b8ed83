"""Log lines as JSON: what a run and a tick write, and that the services are told to write the same."""

import json
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.instigation_logger import InstigationLogger

from evalops_dagster.cli import dagster_process
from evalops_dagster.cli.dagster_api import DagsterApi
from evalops_dagster.json_lines import json_line, write_json_lines


@pytest.fixture
def in_json(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process that writes JSON, put back afterwards."""
    before, last = logging.getLoggerClass(), logging.lastResort
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    assert last is not None
    formatter = last.formatter
    write_json_lines()
    write_json_lines()  # a code location is loaded more than once
    yield
    logging.setLoggerClass(before)
    last.setFormatter(formatter)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was written to stderr; fails where any line is no JSON."""
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


@dg.op
def speaks(context: dg.OpExecutionContext) -> None:
    context.log.info("two\nlines")


@dg.op
def fails() -> None:
    raise ValueError("on purpose")


@dg.job
def speaking() -> None:
    speaks()


@dg.job
def failing() -> None:
    fails()


@pytest.mark.usefixtures("in_json")
def test_every_line_of_a_run_is_an_object_that_says_which_run_and_step_it_is_of(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = speaking.execute_in_process(tags={"dagster/partition": "2026-11-25"})
    found = lines(capsys)
    assert {line["run_id"] for line in found} == {run.run_id}
    assert {"STEP_START", "STEP_SUCCESS", "PIPELINE_SUCCESS"} <= {line.get("event_type") for line in found}
    (own,) = [line for line in found if line["event"] == "two\nlines"]
    moment = own.pop("timestamp")
    assert moment.endswith("Z")
    assert own == {
        "event": "two\nlines",
        "logger": "dagster",
        "level": "info",
        "run_id": run.run_id,
        "job_name": "speaking",
        "step_key": "speaks",
        "partition": "2026-11-25",
    }


@pytest.mark.usefixtures("in_json")
def test_a_failure_is_one_line_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    failing.execute_in_process(raise_on_error=False)
    (failure,) = [line for line in lines(capsys) if line.get("event_type") == "STEP_FAILURE"]
    assert (failure["level"], failure["step_key"]) == ("error", "fails")
    assert "ValueError: on purpose" in failure["exception"]
    assert "Traceback" in failure["exception"] or "Stack Trace" in failure["exception"]


@pytest.mark.usefixtures("in_json")
def test_a_tick_names_its_sensor_and_warnings_and_unhandled_loggers_are_lines_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # as the code server makes `context.log` of a tick
    with InstigationLogger(repository_name="__repository__", instigator_name="watches") as log:
        log.warning("all is well")
    (tick,) = lines(capsys)
    assert (tick["event"], tick["instigator"], tick["level"]) == ("all is well", "watches", "warning")
    for name in ("py.warnings", "a.library"):
        monkeypatch.setattr(logging.getLogger(name), "propagate", False)  # pytest listens at the root
    warnings.showwarning("old", DeprecationWarning, "x.py", 3)
    logging.getLogger("a.library").warning("%s left", "2 s")
    (old, left) = lines(capsys)
    assert (old["event"], old["logger"]) == ("DeprecationWarning: old (x.py:3)", "py.warnings")
    assert (left["event"], left["logger"]) == ("2 s left", "a.library")


def test_a_command_s_progress_is_one_line() -> None:
    said = json.loads(json_line("\nEvalOps is running\nCtrl-C ends it"))
    assert (said["event"], said["logger"]) == ("EvalOps is running\nCtrl-C ends it", "evalops")


@pytest.mark.parametrize("json_lines", [True, False])
def test_the_services_and_the_code_servers_are_told_to_write_json(
    json_lines: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[list[str], dict[str, str]]] = []

    def popen(command: list[str], *, env: dict[str, str], **_: Any) -> None:
        started.append((command, env))

    monkeypatch.setattr(dagster_process.subprocess, "Popen", popen)
    dagster_process.start_dagster(
        tmp_path, "127.0.0.1", DagsterApi("http://127.0.0.1:9"), 9, tmp_path / "log", "m", json_lines=json_lines
    )
    ((command, env),) = started
    formats = [env.get(f"DAGSTER_CLI_{name}_LOG_FORMAT") for name in ("API_GRPC", "CODE_SERVER_START")]
    assert (formats, "--log-format" in command) == ((["json"] * 2, True) if json_lines else ([None] * 2, False))
    assert command[0] == sys.executable
