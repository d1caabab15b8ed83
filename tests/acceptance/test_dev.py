"""`evalops dev`: everything comes up with it, nothing is left after it, and what goes wrong is said in a sentence."""

import signal
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from urllib.request import urlopen

import dagster as dg
import pytest
from pydantic import SecretStr

from evalops_core.domain.window import window_of
from evalops_core.postgres.server import EmbeddedServer
from evalops_dagster.cli.dagster_api import DagsterApi
from evalops_dagster.tags import RUN_TYPE
from tests.acceptance.dev_stack import IN_THE_BACKGROUND, Dev, Home
from tests.builders import environment, write_suite
from tests.mock_fixture import MockOpenAI

pytestmark = pytest.mark.process


class Shared:
    """One `evalops dev` with the embedded database for the tests that only look at it."""

    def __init__(self, folder: Path, mock: MockOpenAI) -> None:
        write_suite(folder / "suites", mock.base_url, cases=3)
        write_suite(folder / "suites", mock.base_url, feature="torn", yaml="description: [")
        variables = environment(SecretStr(""), folder / "home", folder / "suites", mock.base_url)
        self.home = Home(folder, variables)
        self._dev: Dev | None = None

    def up(self) -> Dev:
        if self._dev is None or self._dev.process.poll() is not None:
            self._dev = self.home.start_dev()
        return self._dev


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, mock_process: MockOpenAI) -> Iterator[Shared]:
    stack = Shared(tmp_path_factory.mktemp("dev stack"), mock_process)
    yield stack
    stack.home.end()


@pytest.fixture
def home(tmp_path: Path, database_url: SecretStr, mock_openai: MockOpenAI) -> Iterator[Home]:
    """One over the test's database."""
    write_suite(tmp_path / "suites", mock_openai.base_url, cases=8)
    own = Home(tmp_path, environment(database_url, tmp_path / "home", tmp_path / "suites", mock_openai.base_url))
    yield own
    own.end()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_it_prints_an_address_that_answers_and_warns_of_a_suite_that_cannot_be_used(shared: Shared) -> None:
    dev = shared.up()
    with urlopen(f"{dev.url}/server_info", timeout=30) as answer:  # noqa: S310  # an http:// address on loopback
        assert answer.status == 200
    assert f"warning: {shared.home.folder / 'suites' / 'torn' / 'suite.yaml'}:" in dev.said
    assert "database: ready" in dev.said


def test_no_model_server_is_started_where_no_suite_needs_it(shared: Shared) -> None:
    dev = shared.up()
    assert "models:" not in dev.said
    assert not (shared.home.path / "model").exists()


def test_a_second_start_explains_itself_in_one_sentence(shared: Shared) -> None:
    dev = shared.up()
    said = shared.home.run("dev", "--port", "0")
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.count("\n") == 1
    assert f"running already at {dev.url} (process {dev.process.pid})" in said.stderr
    assert dev.process.poll() is None


def test_a_short_command_leaves_the_database_that_it_found_running(shared: Shared) -> None:
    shared.up()
    before = EmbeddedServer(shared.home.path / "postgres").status()
    said = shared.home.run("db", "current")
    assert said.returncode == 0, said.stderr
    assert EmbeddedServer(shared.home.path / "postgres").status() == before


def test_after_kill_9_the_next_start_ends_what_is_left_and_ctrl_c_cancels_a_run_under_way(
    shared: Shared, mock_openai: MockOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, killed = shared.home, shared.up()
    killed.process.kill()
    killed.process.communicate()
    left = [process for process in home.processes() if "dagster" in process]
    assert left

    dev = home.start_dev(through=IN_THE_BACKGROUND)
    assert "an earlier `evalops` was killed; ending the Dagster processes it left" in dev.said
    assert not set(left) & set(home.processes())

    mock_openai.configure(latency_ms=20_000)
    today = window_of(datetime.now(timezone.utc), 24).key
    run_id = DagsterApi(dev.url).launch("eval_daily", {"dagster/partition": today, RUN_TYPE: "scheduled"})
    until(lambda: mock_openai.stats()["in_flight"] > 0)
    code, said, problems = dev.end(signal.SIGINT)

    assert (code, problems) == (0, "")
    assert said.endswith("stopping Dagster, the models and the database …\nended\n")
    assert home.processes() == []
    for name in ("EVALOPS_HOME", "EVALOPS_SUITES"):
        monkeypatch.setenv(name, home.environment[name])
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        run = instance.get_run_by_id(run_id)
        assert run is not None
        assert run.status is dg.DagsterRunStatus.CANCELED


def test_sigterm_amid_the_start_leaves_nothing_and_a_database_of_one_s_own_needs_no_embedded_one(home: Home) -> None:
    process = home.start("dev", "--port", "0")
    assert process.stdout is not None
    assert any(line.startswith("dagster: starting") for line in process.stdout)
    until(lambda: any("dagster dev" in command for command in home.processes()))
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert out.endswith("ended\n")
    assert home.processes() == []
    assert not (home.path / "postgres").exists()


def test_where_dagster_does_not_start_the_end_of_its_log_is_shown(home: Home) -> None:
    (home.dagster / "workspace.yaml").write_text("load_from: nowhere\n")
    said = home.run("dev", "--port", "0")
    assert said.returncode == 1
    first, *log = said.stderr.splitlines()
    assert first == f"error: Dagster ended while it started; the end of {home.path / 'logs' / 'dagster.log'}:"
    assert "load_from" in "\n".join(log)
    assert "\x1b" not in said.stderr
    assert home.processes() == []
