"""`evalops metrics`: printed, written whole, served; and what it says where nothing can be read."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from evalops_dagster.cli import metrics as command
from evalops_dagster.storage import EvalOpsStorage
from tests.cli.calling import Evalops

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def deployment(database_url: SecretStr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALOPS_DATABASE_URL", database_url.get_secret_value())
    monkeypatch.setenv("EVALOPS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))  # without a dagster.yaml: Dagster's runs are left out


def value(page: str, name: str) -> float | None:
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    return next((sample.value for sample in samples if sample.name == name), None)


@pytest.mark.usefixtures("deployment")
def test_it_prints_what_prometheus_reads_and_leaves_out_what_it_cannot_know(evalops: Evalops) -> None:
    said = evalops("metrics")
    assert (said.code, said.err) == (0, "")
    assert (value(said.out, "evalops_up"), value(said.out, "evalops_unjudged_runs")) == (1, 0)
    assert value(said.out, "evalops_dagster_runs") is None
    assert value(said.out, "evalops_score") is None


def test_dagster_s_runs_are_counted_where_its_instance_is_found(
    deployment: None, evalops: Evalops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(PROJECT))
    assert value(evalops("metrics").out, "evalops_dagster_runs") is None, "its tables were made for it"
    EvalOpsStorage.from_config_value(None, {})
    assert value(evalops("metrics").out, "evalops_dagster_runs") == 0


def test_a_file_is_written_whole_or_stays_as_it_was(
    deployment: None, evalops: Evalops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "evalops.prom"
    said = evalops("metrics", "-o", str(file))
    assert (said.code, said.out, value(file.read_text(), "evalops_up")) == (0, "", 1)
    before = file.read_bytes()

    def crash(draft: Path, target: Path) -> Path:
        assert value(draft.read_text(), "evalops_up") is not None, "the draft is complete"
        assert not draft.name.endswith(".prom"), "a collector does not read it"
        assert target.read_bytes() == before
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", crash)
        said = evalops("metrics", "-o", str(file))
    assert (said.code, said.err) == (2, f"error: {file}: cannot be written: No space left on device\n")
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["evalops.prom"]


def test_a_database_that_is_down_is_evalops_up_0_and_a_warning(
    deployment: None, evalops: Evalops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALOPS_DATABASE_URL", "postgresql://me:secret-word@127.0.0.1:9/evalops")
    said = evalops("metrics")
    assert (said.code, value(said.out, "evalops_up")) == (0, 0)
    assert said.err.startswith("warning: the metrics lack everything but evalops_up: cannot connect to")
    assert "secret-word" not in said.out + said.err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--listen", "here"], "--listen: expected HOST:PORT or PORT, like 127.0.0.1:9464, not 'here'"),
        (["--listen", "127.0.0.1:70000"], "--listen: expected HOST:PORT or PORT, like 127.0.0.1:9464, not"),
        (["--listen", "0", "-o", "x.prom"], "-o and --listen exclude each other; choose one"),
        (["-o", "no/where.prom"], "no/where.prom: cannot be written: there is no folder no"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(evalops: Evalops, arguments: list[str], problem: str) -> None:
    said = evalops("metrics", *arguments)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"error: {problem}")


@pytest.mark.parametrize(
    ("given", "place"),
    [("9464", ("127.0.0.1", 9464)), (":9464", ("127.0.0.1", 9464)), ("[::1]:9464", ("::1", 9464)), ("a:1", ("a", 1))],
)
def test_a_port_alone_is_this_machine_s(given: str, place: tuple[str, int]) -> None:
    assert command.place_of(given) == place


@pytest.mark.process
def test_it_serves_until_it_is_ended_and_says_so_in_lines_of_json(deployment: None) -> None:
    environment = {**os.environ, "EVALOPS_LOG_FORMAT": "json"}
    with subprocess.Popen(
        [sys.executable, "-m", "evalops_dagster.cli", "metrics", "--listen", "0"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as serving:
        assert serving.stdout is not None
        said = json.loads(serving.stdout.readline())
        port = said["event"].removeprefix("serving http://127.0.0.1:").partition("/metrics;")[0]
        with urlopen(Request(f"http://127.0.0.1:{port}/metrics"), timeout=60) as answer:
            assert value(answer.read().decode(), "evalops_up") == 1
        serving.send_signal(signal.SIGTERM)
        assert json.loads(serving.stdout.readline())["event"] == "ended"
        assert serving.wait(60) == 0
