"""How long people wait before anything happens: help, the definitions, the UI.

What belongs here: our start beside Python's and Dagster's own. What does not: what a run then takes.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.bench_site import Site
from benchmarks.ledger import Ledger
from benchmarks.runner import ROOT, Usage, run_process
from benchmarks.work import Work, write_suite
from evalops_core.postgres.guard import guarded_server
from evalops_dagster.cli.dagster_api import DagsterApi
from evalops_dagster.cli.stack import free_port

_HELP_MS = 300
_RATIO = 1.2
_EMPTY = "import dagster as dg\n\ndefs = dg.Definitions()\n"
_TRIVIAL = (
    "import dagster as dg\n\n\n@dg.asset\ndef one() -> int:\n    return 1\n\n\ndefs = dg.Definitions(assets=[one])\n"
)
_BARE_HOME = "telemetry: {enabled: false}\nnux: {enabled: false}\n"


def help_text(site: Site, ledger: Ledger, times: int = 9) -> None:
    """`evalops --help`, beside a Python that does nothing."""
    environment = site.environment(Work())
    helped, bare = _in_turns(
        site,
        [[sys.executable, "-m", "evalops_dagster.cli", "--help"], [sys.executable, "-c", "pass"]],
        environment,
        times,
    )
    ledger.goal("evalops --help, ms", 1000 * _wall(helped), limit=_HELP_MS)
    ledger.goal("  its CPU, ms", 1000 * _cpu(helped))
    ledger.goal("  python -c pass, ms", 1000 * _wall(bare))
    asks = "import sys, evalops_dagster.cli; print('dagster' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", asks], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    ledger.goal("  imports of dagster", int(said.strip() == "True"), limit=0)


def definitions(site: Site, ledger: Ledger, times: int = 5) -> None:
    """`dagster definitions validate`, the database running; beside an empty project's with what Dagster stores in."""
    site.prepare(Work(cases=200))
    project = site.folder / "project"
    project.mkdir()
    (project / "empty_project.py").write_text(_EMPTY)
    (project / "dagster.yaml").write_text(_BARE_HOME)
    environment = site.environment(Work())
    theirs = environment | {"PYTHONPATH": str(project), "DAGSTER_HOME": str(project)}
    validate = [sys.executable, "-m", "dagster", "definitions", "validate", "-m"]
    ours: list[Usage] = []
    empty: list[Usage] = []
    for _ in range(times):
        ours += _in_turns(site, [[*validate, "evalops_dagster.definitions"]], environment, 1)[0]
        empty += _in_turns(site, [[*validate, "empty_project"]], theirs, 1)[0]
    _beside(ledger, "definitions load", ours, empty)


def ui(ledger: Ledger, times: int = 3) -> None:
    """`evalops dev` on a home that was used before, beside `dagster dev` on a trivial project and the database."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("EVALOPS_", "DAGSTER_"))}
        ours = environment | {"EVALOPS_HOME": str(folder / "home"), "EVALOPS_SUITES": str(_scripted(folder))}
        ours |= {"EVALOPS_JUDGE_MODEL": "nobody", "EVALOPS_JUDGE_BASE_URL": "http://127.0.0.1:9/v1"}
        (folder / "trivial.py").write_text(_TRIVIAL)
        (folder / "dagster").mkdir()
        (folder / "dagster" / "dagster.yaml").write_text(_BARE_HOME)
        theirs = environment | {"DAGSTER_HOME": str(folder / "dagster"), "PYTHONPATH": str(folder)}
        dev: list[float] = []
        trivial: list[float] = []
        database: list[float] = []
        for turn in range(times + 1):
            took = (_evalops_dev(ours), _database(folder / "home" / "postgres"), _dagster_dev(theirs))
            if turn:  # the first one makes the databases
                for taken, one in zip((dev, database, trivial), took, strict=True):
                    taken.append(one)
    ledger.table(
        f"until the UI answers, s, medians of {times}",
        [
            {"what": name, "median": median(of), "least": min(of)}
            for name, of in (("evalops dev", dev), ("dagster dev, trivial", trivial), ("database start", database))
        ],
    )
    ledger.goal("evalops dev − database / dagster dev", (min(dev) - min(database)) / min(trivial), limit=_RATIO)


def _evalops_dev(environment: Mapping[str, str]) -> float:
    command = [sys.executable, "-m", "evalops_dagster.cli", "dev", "--port", "0"]
    began = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("EvalOps is running"):
                break
        took = time.perf_counter() - began
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    return took


def _dagster_dev(environment: Mapping[str, str]) -> float:
    port = free_port("127.0.0.1", 0, exactly=True)
    command = [sys.executable, "-m", "dagster", "dev", "-m", "trivial", "-h", "127.0.0.1", "-p", str(port)]
    began, api = time.perf_counter(), DagsterApi(f"http://127.0.0.1:{port}")
    with subprocess.Popen(
        command, cwd=environment["PYTHONPATH"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while not api.answers():
            if process.poll() is not None:
                raise SystemExit(f"dagster dev ended with {process.returncode}")
            time.sleep(0.1)
        took = time.perf_counter() - began
        process.send_signal(signal.SIGINT)
    return took


def _database(root: Path) -> float:
    began = time.perf_counter()
    with guarded_server(root):
        return time.perf_counter() - began


def _scripted(folder: Path) -> Path:
    """A suite that needs no embedded model."""
    return write_suite(folder / "suites", "http://127.0.0.1:9/v1", 20).parent


def _in_turns(
    site: Site, commands: Sequence[Sequence[str]], environment: Mapping[str, str], times: int
) -> list[list[Usage]]:
    """Each `times` times, in turns, after once for the caches."""
    found: list[list[Usage]] = [[] for _ in commands]
    for turn in range(times + 1):
        for command, of in zip(commands, found, strict=True):
            usage = run_process(command, environment, site.folder / "start.log")
            if usage.exit_code:
                raise SystemExit(f"{' '.join(command)[:200]} ended with {usage.exit_code}:\n{usage.said[-2000:]}")
            if turn:
                of.append(usage)
    return found


def _beside(ledger: Ledger, what: str, ours: Sequence[Usage], other: Sequence[Usage]) -> None:
    ledger.goal(f"{what}, s", _wall(ours))
    ledger.goal("  an empty project's", _wall(other))
    ledger.goal(f"{what} / an empty project's, wall", _wall(ours) / _wall(other), limit=_RATIO)
    ledger.goal("  CPU", _cpu(ours) / _cpu(other))


def _wall(of: Sequence[Usage]) -> float:
    return median(one.wall_s for one in of)


def _cpu(of: Sequence[Usage]) -> float:
    return median(one.cpu_s for one in of)
