"""A deployment of EvalOps in processes of its own: code server, daemon, and the runs that they start.

What belongs here: starting and ending one, and asking it what the UI asks, by the UI's own GraphQL. What does not: what
a test expects of it. The GraphQL is answered in the test's process, because a web server would say the same and take
its time; code server, daemon and run workers are Dagster's own processes with the project's own `dagster.yaml`.
"""

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
import psutil
from dagster._core.instance.ref import InstanceRef
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_graphql.schema import create_schema
from pydantic import SecretStr
from sqlalchemy import Engine, text

PROJECT = Path(__file__).parents[2]
PATIENCE_S = 90.0
DAEMON = ("dagster._daemon", "run")
FINISHED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
_SELECTOR = {"repositoryLocationName": "evalops", "repositoryName": "__repository__"}
_LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on Error { message }
  ... on RunConfigValidationInvalid { errors { message } } } }"""
_REEXECUTE = """mutation($params: ReexecutionParams!) { launchRunReexecution(reexecutionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on Error { message } } }"""
_TERMINATE = """mutation($id: String!) { terminateRun(runId: $id) {
  __typename ... on TerminateRunSuccess { run { runId } } ... on Error { message } } }"""
T = TypeVar("T")


def awaited(ask: Callable[[], T | None], what: str, *, within_s: float = PATIENCE_S) -> T:
    """The first answer that is true in the sense of `bool`; AssertionError where there is none in time."""
    deadline = time.monotonic() + within_s
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"waited {within_s:.0f} s in vain for {what}"
        time.sleep(0.05)


def is_gone(process: psutil.Process) -> bool:
    """Whether it executes nothing any more, be it that nobody has collected it yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE or not process.is_running()
    except psutil.NoSuchProcess:
        return True


@dataclass
class Deployment:
    """A running one. `home` is its DAGSTER_HOME, `environment` what its processes have beside that."""

    home: Path
    environment: Mapping[str, str]
    module: str
    instance: dg.DagsterInstance
    socket: Path
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict[str, "subprocess.Popen[bytes]"])
    context: WorkspaceProcessContext | None = None
    daemon: Sequence[str] = DAEMON

    def start_code_server(self) -> None:
        """Also once more after it was killed, as a supervisor would."""
        self.socket.unlink(missing_ok=True)
        serve = ["-m", "dagster", "api", "grpc", "--socket", str(self.socket), "--location-name", "evalops"]
        self._start("code server", [*serve, "-m", self.module, "-d", str(PROJECT)])
        awaited(self._is_bound, "the code server")

    def start_daemon(self) -> None:
        self._start("daemon", ["-m", *self.daemon, "-w", str(self.home / "workspace.yaml")])

    def kill_code_server(self) -> None:
        """The whole group at once: the server and the workers that it has started."""
        self._kill("code server")

    def kill_daemon(self) -> None:
        self._kill("daemon")

    def start_celery_worker(self, name: str) -> None:
        """Under this name, for the runs that a `CeleryRunLauncher` launches."""
        self._start(
            name, ["-m", "celery", "-A", "evalops_dagster.celery_app", "worker", "-l", "INFO", "-n", f"{name}@%h"]
        )

    def kill_celery_worker(self, name: str) -> None:
        """With the process of the run that it works on, as when its machine goes down."""
        self._kill(name)

    @contextmanager
    def delayed(self) -> Generator[None]:
        """The daemon stands still meanwhile."""
        daemon = self.processes["daemon"]
        daemon.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            daemon.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        for name in list(self.processes):
            self._kill(name)

    def launch(
        self, assets: Sequence[dg.AssetKey], partition: str | None, *, job: str = "__ASSET_JOB", **tags: str
    ) -> str:
        """A run as the UI's Materialize launches it, or of a job; its id. A tag's name has `__` for `/`."""
        named = {name.replace("__", "/"): value for name, value in tags.items()}
        if partition is not None:
            named["dagster/partition"] = partition
        answer = self._ask(
            _LAUNCH,
            params={
                "selector": {**_SELECTOR, "jobName": job, "assetSelection": [{"path": key.path} for key in assets]},
                "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in named.items()]},
            },
        )["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return answer["run"]["runId"]

    def reexecute_from_failure(self, run_id: str) -> str:
        answer = self._ask(_REEXECUTE, params={"parentRunId": run_id, "strategy": "FROM_FAILURE"})
        assert answer["launchRunReexecution"]["__typename"] == "LaunchRunSuccess", answer
        return answer["launchRunReexecution"]["run"]["runId"]

    def cancel(self, run_id: str) -> None:
        answer = self._ask(_TERMINATE, id=run_id)["terminateRun"]
        assert answer["__typename"] == "TerminateRunSuccess", answer

    def record(self, run_id: str) -> dg.RunRecord:
        record = self.instance.get_run_record_by_id(run_id)
        assert record is not None
        return record

    def status(self, run_id: str) -> dg.DagsterRunStatus:
        return self.record(run_id).dagster_run.status

    def statuses(self, run_ids: Collection[str]) -> list[dg.DagsterRunStatus]:
        return [self.status(run_id) for run_id in run_ids]

    def wait_for(self, run_id: str, *wanted: dg.DagsterRunStatus, within_s: float = PATIENCE_S) -> dg.DagsterRunStatus:
        """Its status, once that is one of `wanted`, or else once it has ended."""
        stops = wanted or FINISHED

        def status() -> dg.DagsterRunStatus | None:
            now = self.status(run_id)
            return now if now in (*stops, *FINISHED) else None

        names = " or ".join(status.value for status in stops)
        return awaited(status, f"run {run_id} to be {names}: it is {self.status(run_id)}", within_s=within_s)

    def worker(self, run_id: str) -> psutil.Process:
        """The process that works on the run, as the run itself says."""

        def pid() -> int | None:
            for entry in self.instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
                said = entry.get_dagster_event()
                if said.message and said.message.startswith("Started process for run"):
                    value = said.engine_event_data.metadata["pid"].value
                    return int(str(value))
            return None

        return psutil.Process(awaited(pid, f"the process of run {run_id}"))

    def said(self, run_id: str) -> str:
        """Everything in the run's log, errors and their causes included, as one text."""
        return "\n".join(str(entry) for entry in self.instance.all_logs(run_id))

    def log(self, name: str) -> str:
        return (self.home / f"{name}.log").read_text(errors="replace")

    def _start(self, name: str, arguments: Sequence[str]) -> None:
        with (self.home / f"{name}.log").open("ab") as output:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=PROJECT,
                env={**os.environ, **self.environment, "DAGSTER_HOME": str(self.home)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _is_bound(self) -> bool:
        assert self.processes["code server"].poll() is None, self.log("code server")
        return self.socket.exists()

    def _kill(self, name: str) -> None:
        process = self.processes.pop(name)
        started: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):
            started = psutil.Process(process.pid).children(recursive=True)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        awaited(lambda: all(map(is_gone, started)), f"what the {name} has started to be gone", within_s=10)

    def _ask(self, query: str, **variables: Any) -> dict[str, Any]:
        assert self.context is not None
        request = self.context.create_request_context()
        done = asyncio.run(create_schema().execute_async(query, context_value=request, variable_values=variables))
        assert not done.errors, done.errors
        assert done.data is not None
        return done.data


@contextmanager
def deployed(
    folder: Path,
    dagster_database: SecretStr,
    environment: Mapping[str, str],
    *,
    module: str = "evalops_dagster.definitions",
    daemon: Sequence[str] = DAEMON,
    more_yaml: str = "",
) -> Generator[Deployment]:
    """A deployment with its own Dagster database, up and answering; none of its processes outlives the block.

    `daemon` is what `python -m` runs as its daemon, `more_yaml` what its `dagster.yaml` has beside the project's.
    """
    folder.mkdir()
    (folder / "dagster.yaml").write_text(f"{(PROJECT / 'dagster.yaml').read_text()}\n{more_yaml}")
    with tempfile.TemporaryDirectory(prefix="evalops-") as short:  # a socket's path has little room
        socket = Path(short) / "grpc"
        server = {"grpc_server": {"socket": str(socket), "location_name": "evalops"}}
        (folder / "workspace.yaml").write_text(json.dumps({"load_from": [server]}))
        url = dagster_database.get_secret_value()
        own = {**environment, "EVALOPS_DAGSTER_DATABASE_URL": url}
        with _instance(folder, url) as instance:
            deployment = Deployment(folder, own, module, instance, socket, daemon=daemon)
            try:
                deployment.start_code_server()
                deployment.start_daemon()
                target = WorkspaceFileTarget([str(folder / "workspace.yaml")])
                awaited(lambda: _answers(deployment), "the code server to answer")
                with WorkspaceProcessContext(instance, target) as context:
                    deployment.context = context
                    yield deployment
            finally:
                deployment.stop()


def _answers(deployment: Deployment) -> bool:
    from dagster._grpc.client import DagsterGrpcClient

    assert deployment.processes["code server"].poll() is None, deployment.log("code server")
    client = DagsterGrpcClient(socket=str(deployment.socket))
    try:
        client.ping("")
    except Exception:  # noqa: BLE001  # whatever it raises, it is not there yet
        return False
    return True


@contextmanager
def _instance(folder: Path, url: str) -> Generator[dg.DagsterInstance, None, None]:
    """The deployment's instance for the test's process, whose environment does not name its database."""
    storage = {
        "module": "dagster_postgres",
        "class": "DagsterPostgresStorage",
        "config": {"postgres_url": url, "should_autocreate_tables": True},
    }
    ref = InstanceRef.from_dir(str(folder), overrides={"storage": {"custom": storage}})
    with dg.DagsterInstance.from_ref(ref) as instance:
        yield instance


class HeldStatements:
    """While held, statements of one kind wait, so that a test can strike whoever runs one at that very moment.

    A trigger makes them wait for an advisory lock: `what` is as in `UPDATE ON schema.table`, and `when` says which rows
    are meant, in terms of OLD and NEW.
    """

    _NUMBERS = itertools.count(20_261_123)

    def __init__(self, engine: Engine, what: str, when: str) -> None:
        self._key = next(self._NUMBERS)
        self._name, self._table = f"wait_for_the_test_{self._key}", what.rpartition(" ")[2]
        self._connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        make = f"""
            CREATE FUNCTION {self._name}() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN PERFORM pg_advisory_xact_lock_shared({self._key}); RETURN NEW; END $$;
            CREATE TRIGGER {self._name} BEFORE {what} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION {self._name}();
        """
        self._connection.execute(text(make))

    def hold(self) -> None:
        self._connection.execute(text(f"SELECT pg_advisory_lock({self._key})"))

    def release(self) -> None:
        self._connection.execute(text(f"SELECT pg_advisory_unlock({self._key})"))

    def is_awaited(self) -> bool:
        return bool(self._waiting("count(*)"))

    def end_those_waiting(self) -> None:
        """The server learns that their clients are dead, which it would else do only after their statements."""
        self._waiting("count(pg_terminate_backend(pid))")

    def end(self) -> None:
        drop = f"DROP TRIGGER {self._name} ON {self._table}; DROP FUNCTION {self._name}();"
        self._connection.execute(text("SELECT pg_advisory_unlock_all()"))
        self._connection.execute(text(drop))
        self._connection.close()

    def _waiting(self, wanted: str) -> int:
        asked = f"""
            SELECT {wanted} FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = {self._key}
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        """  # noqa: S608  # a constant of ours
        return self._connection.execute(text(asked)).scalar_one()


class HeldCommits(HeldStatements):
    """While held, no eval run of the database can be completed: its last statement waits."""

    def __init__(self, engine: Engine) -> None:
        # not the update by which a completed run is marked as judged
        done_now = "NEW.status = 'completed' AND OLD.status <> 'completed'"
        super().__init__(engine, "UPDATE ON evalops.eval_runs", done_now)


@contextmanager
def held_commits(engine: Engine) -> Generator[HeldCommits]:
    held = HeldCommits(engine)
    try:
        held.hold()
        yield held
    finally:
        held.end()
