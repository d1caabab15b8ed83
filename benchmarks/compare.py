"""Our engine, `evalops run` and the peers on identical work, each as a whole process, in turns.

What belongs here: the same figures of each tool, and how ours stand to the best of the others'. What does not: how a
peer does it (peers), single parts of ours (durable, faults, startup).
"""

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.bench_site import Site
from benchmarks.ledger import Ledger, Value
from benchmarks.peers.catalogue import Peer
from benchmarks.result import disagreement
from benchmarks.runner import Usage, Watch, run_process
from benchmarks.work import Work

ENGINE = "evalops engine"
_GOAL = 8.0


@dataclass(frozen=True)
class Run:
    """One tool's doing of the work once. `database_s` is the CPU of a PostgreSQL server that is no child of it."""

    usage: Usage
    span_s: float
    calls: int
    paid_again: int
    database_s: float


def run_ours(site: Site, work: Work) -> Run:
    return _observed(site, [sys.executable, "-m", "benchmarks.ours"], site.environment(work), ENGINE)


def run_peer(
    site: Site, work: Work, peer: Peer, *, resume: bool = False, kill_when: Callable[[], bool] | None = None
) -> Run:
    """With a folder for its results of its own, which a run that resumes finds as it was."""
    out = site.folder / "out" / peer.name
    if not resume:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
    told = {
        "BENCH_BASE_URL": site.mock.base_url,
        "BENCH_CASES": str(site.folder / "suites" / "bench" / "cases.jsonl"),
        "BENCH_IN_FLIGHT": str(work.in_flight),
        "BENCH_OUT": str(out),
        "BENCH_PEER": str(peer.folder),
        "BENCH_RESUME": "1" if resume else "0",
    }
    return _observed(site, peer.command(), os.environ | told, peer.name, kill_when)


def compare(site: Site, ledger: Ledger, work: Work, peers: Sequence[Peer], times: int) -> None:
    """Medians of `times` runs of each, in turns so that a slower minute of the machine is nobody's own."""
    runs: dict[str, list[Run]] = {name: [] for name in (ENGINE, *(peer.name for peer in peers))}
    for _ in range(times):
        site.prepare(work)
        runs[ENGINE].append(run_ours(site, work))
        for peer in peers:
            site.prepare(work)
            runs[peer.name].append(run_peer(site, work, peer))
    ledger.table(
        f"{work}, ideal {work.ideal_s:.2f} s, medians of {times}", [_row(name, of, work) for name, of in runs.items()]
    )
    wrong = disagreement([run.usage.result for of in runs.values() for run in of])
    ledger.say("every tool scored every case and printed the same mean" if wrong is None else f"WRONG: {wrong}")
    ledger.missed += wrong is not None
    if peers:
        _ratios(ledger, work, runs)


def _ratios(ledger: Ledger, work: Work, runs: Mapping[str, Sequence[Run]]) -> None:
    cpu = {name: _cpu_ms(of, work) for name, of in runs.items()}
    over = {name: _overhead_ms(of, work) for name, of in runs.items()}
    for what, of in (("CPU", cpu), ("wall overhead", over)):
        best = min((name for name in of if name != ENGINE), key=lambda name: of[name])
        ledger.goal(f"{what} a case, {best} / ours", of[best] / of[ENGINE], floor=_GOAL, unit="×")
    both = cpu[ENGINE] + 1000 * median(run.database_s for run in runs[ENGINE]) / work.cases
    best = min((name for name in cpu if name != ENGINE), key=lambda name: cpu[name])
    ledger.goal(f"CPU a case, {best} / ours with the database server's", cpu[best] / both, unit="×")


def _row(name: str, of: Sequence[Run], work: Work) -> dict[str, Value]:
    result = of[-1].usage.result
    return {
        "tool": name,
        "wall s": median(run.usage.wall_s for run in of),
        "× ideal": median(run.usage.wall_s for run in of) / work.ideal_s,
        "cold s": median(run.usage.cold_s or 0.0 for run in of),
        "span s": median(run.span_s for run in of),
        "CPU s": median(run.usage.cpu_s for run in of),
        "CPU ms/case": _cpu_ms(of, work),
        "over ms/case": _overhead_ms(of, work),
        "database CPU s": median(run.database_s for run in of),
        "peak MB": max(run.usage.peak_mb for run in of),
        "calls": max(run.calls for run in of),
        "scored": result and result.scored,
        "mean": result and f"{result.mean:.3f}",
    }


def _cpu_ms(of: Sequence[Run], work: Work) -> float:
    return 1000 * median(run.usage.cpu_s for run in of) / work.cases


def _overhead_ms(of: Sequence[Run], work: Work) -> float:
    """Of the whole process, its start included."""
    return 1000 * (median(run.usage.wall_s for run in of) - work.ideal_s) / work.cases


def _observed(
    site: Site,
    command: Sequence[str],
    environment: Mapping[str, str],
    name: str,
    kill_when: Callable[[], bool] | None = None,
) -> Run:
    before = site.database_cpu_s()
    watch = Watch(called=lambda: site.mock.stats()["requests"] > 0, kill_when=kill_when)
    usage = run_process(command, environment, site.folder / f"{name.replace(' ', '-')}.log", watch=watch)
    stats = site.mock.stats()
    if usage.result is None and kill_when is None:
        print(f"{name} ended with {usage.exit_code}:\n{usage.said[-2000:]}", file=sys.stderr)
    return Run(
        usage, stats["span_s"], stats["requests"], sum(stats["paid_again"].values()), site.database_cpu_s() - before
    )
