"""Whole deployments over one eval database: web server, daemon, code server and a Dagster database each.

What belongs here: putting them up, ending them, and asking each what it has done. What does not: what is done to them
(week, endurance). The processes are those of the acceptance tests' deployments, with a web server beside them.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_representation.external import RemoteSchedule
from dagster._core.scheduler.instigation import InstigatorTick, TickStatus
from dagster._core.test_utils import freeze_time
from pydantic import SecretStr
from sqlalchemy import make_url, text

from benchmarks.runner import ROOT
from benchmarks.soak.location import MODULE
from evalops_core.store.engine import make_engine
from evalops_dagster.cli.stack import free_port
from tests.acceptance.deployments import FINISHED, Deployment, awaited, deployed

PATIENCE_S = 300.0  # of a busy machine
WEB = "web server"
UNFINISHED = [status for status in dg.DagsterRunStatus if status not in FINISHED]
_HOST = "127.0.0.1"
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_SELECTOR = '{repositoryLocationName: "evalops", repositoryName: "__repository__"}'
# What the UI's pages of runs, assets and automation ask.
PAGES = (
    """{ runsOrError(limit: 25) { ... on Runs { results {
      runId status jobName startTime endTime tags { key value } } } } }""",
    "{ assetNodes { assetKey { path } assetMaterializations(limit: 1) { timestamp partition } } }",
    f"""{{ sensorsOrError(repositorySelector: {_SELECTOR}) {{ ... on Sensors {{ results {{ name sensorState {{
      status ticks(limit: 25) {{ timestamp endTimestamp status skipReason }} }} }} }} }} }}""",
)
_COUNT = "{ runsOrError { ... on Runs { count } } }"


@dataclass
class Full:
    """One deployment, its web server on `port`. `leavings` are process groups whose server is dead and whose run
    workers may live."""

    name: str
    deployment: Deployment
    port: int
    schedule: RemoteSchedule
    leavings: list[int] = field(default_factory=list[int])
    refusals: list[str] = field(default_factory=list[str])

    @property
    def instance(self) -> dg.DagsterInstance:
        return self.deployment.instance

    def ticked(self, at: datetime) -> InstigatorTick | None:
        """The schedule's tick at `at` or later, once that has ended."""
        latest = next(iter(self.ticks(limit=1)), None)
        if latest is None or latest.timestamp < at.timestamp() or latest.status is TickStatus.STARTED:
            return None
        return latest

    def ticks(self, limit: int | None = None) -> Sequence[InstigatorTick]:
        """Of the schedule, the latest first."""
        return self.instance.get_ticks(self.schedule.get_remote_origin_id(), self.schedule.selector_id, limit=limit)

    def sensor_ticks(self) -> dict[str, Sequence[InstigatorTick]]:
        """By the sensor's name, the oldest first."""
        found: dict[str, Sequence[InstigatorTick]] = {}
        for state in self.instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
            ticks = self.instance.get_ticks(state.instigator_origin_id, state.selector_id)
            found[state.instigator_name] = list(reversed(ticks))
        return found

    def has_looked(self, since: float) -> bool:
        """Whether a sensor's tick has begun and ended since that time of the machine's clock."""
        return any(
            tick.timestamp >= since and tick.status in (TickStatus.SKIPPED, TickStatus.SUCCESS)
            for tick in self._newest_sensor_ticks()
        )

    def _newest_sensor_ticks(self) -> Sequence[InstigatorTick]:
        return [
            tick
            for state in self.instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
            for tick in self.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=2)
        ]

    def is_idle(self) -> bool:
        return self.instance.get_runs_count(dg.RunsFilter(statuses=UNFINISHED)) == 0

    def runs(self) -> Sequence[dg.DagsterRun]:
        return self.instance.get_runs()

    def why(self, run: dg.DagsterRun) -> str:
        """What became of a run that did not succeed, in a line or two."""
        errors = [
            line for line in self.deployment.said(run.run_id).splitlines() if "Error: " in line or "is gone" in line
        ]
        partition = run.tags.get("dagster/partition")
        return f"run {run.run_id} of {partition} is {run.status.value}: {' / '.join(errors)[:600]}"

    def ask(self, query: str) -> dict[str, Any]:
        """The web server's answer to GraphQL."""
        body = json.dumps({"query": query}).encode()
        request = urllib.request.Request(
            f"http://{_HOST}:{self.port}/graphql", body, {"Content-Type": "application/json"}
        )
        try:
            with _DIRECT.open(request, timeout=60) as reply:
                answer: dict[str, Any] = json.load(reply)
        except urllib.error.HTTPError as error:  # what it says of the error is in the body
            raise AssertionError(f"{error.code}: {error.read()[:600].decode(errors='replace')}") from error
        assert not answer.get("errors"), answer["errors"]
        return answer["data"]

    def look_at_pages(self) -> float | None:
        """What a person who looks asks of the web server; the seconds that it took. None, and a refusal noted, where it
        does not answer all of it."""
        began = time.perf_counter()
        try:
            for page in PAGES:
                self.ask(page)
        except (OSError, AssertionError) as refusal:
            self.refusals.append(f"the web server of {self.name} refused a page: {refusal}"[:600])
            return None
        return time.perf_counter() - began

    def runs_by_the_ui(self) -> int:
        return int(self.ask(_COUNT)["runsOrError"]["count"])

    def start_web_server(self) -> None:
        start_web_server(self.deployment, self.port)

    def kill_web_server(self) -> None:
        process = self.deployment.processes.pop(WEB)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def kill_code_server_alone(self) -> None:
        """Its run workers are left to themselves."""
        process = self.deployment.processes.pop("code server")
        self.leavings.append(process.pid)
        process.kill()
        process.wait()

    def restart(self) -> None:
        """Whatever of it is not there."""
        there = self.deployment.processes
        if "code server" not in there:
            self.deployment.start_code_server()
        if "daemon" not in there:
            self.deployment.start_daemon()
        if WEB not in there:
            self.start_web_server()


@contextmanager
def full_deployment(folder: Path, server: SecretStr, environment: Mapping[str, str], now: datetime) -> Generator[Full]:
    """Up and answering, its hourly schedule on since `now`; its Dagster database on `server` has the folder's name.

    None of its processes outlives the block.
    """
    port = free_port(_HOST, 0, exactly=True)
    own = {**environment, "EVALOPS_UI_URL": f"http://{_HOST}:{port}"}
    with deployed(folder, new_database(server, folder.name), own, module=MODULE, daemon=[MODULE]) as deployment:
        full = Full(folder.name, deployment, port, _hourly(deployment))
        try:
            full.start_web_server()
            with freeze_time(now):
                deployment.instance.start_schedule(full.schedule)
            awaited(lambda: full.look_at_pages() is not None, "the web server to answer", within_s=PATIENCE_S)
            full.refusals.clear()
            yield full
        finally:
            for group in full.leavings:
                with suppress(ProcessLookupError):
                    os.killpg(group, signal.SIGKILL)


def start_web_server(deployment: Deployment, port: int) -> None:
    """As `dagster-webserver -w … -h … -p …` starts it; it is ended with the deployment."""
    with (deployment.home / f"{WEB}.log").open("ab") as output:
        deployment.processes[WEB] = subprocess.Popen(
            [sys.executable, "-m", "dagster_webserver", "-h", _HOST, "-p", str(port), "-w", "workspace.yaml"],
            cwd=deployment.home,
            env={
                **os.environ,
                **deployment.environment,
                "DAGSTER_HOME": str(deployment.home),
                "PYTHONPATH": str(ROOT),
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def new_database(server: SecretStr, name: str) -> SecretStr:
    """An empty one beside that of the URL `server`; its URL."""
    engine = make_engine(server, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE template0'))
    finally:
        engine.dispose()
    url = make_url(server.get_secret_value()).set(database=name)
    return SecretStr(url.render_as_string(hide_password=False))


def _hourly(deployment: Deployment) -> RemoteSchedule:
    assert deployment.context is not None
    location = deployment.context.create_request_context().get_code_location("evalops")
    schedules = [each for part in location.get_repositories().values() for each in part.get_schedules()]
    (schedule,) = [each for each in schedules if each.name == "eval_schedule_hourly"]
    return schedule
