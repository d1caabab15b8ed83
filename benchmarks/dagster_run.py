"""What a whole Dagster run of ours takes beyond a trivial one of the same shape.

What belongs here: `evalops run` beside four_assets, both one process over the same PostgreSQL. What does not: the
engine without Dagster (compare).
"""

import sys
from collections.abc import Sequence
from statistics import median

from benchmarks.bench_site import Site
from benchmarks.ledger import Ledger
from benchmarks.runner import Usage, run_process
from benchmarks.work import FEATURE, Work

_OURS = (sys.executable, "-m", "evalops_dagster.cli", "run", "--feature", FEATURE, "--json")
_TRIVIAL = (sys.executable, "-m", "benchmarks.four_assets")


def whole_runs(site: Site, ledger: Ledger, works: Sequence[Work], times: int) -> None:
    """Beyond the trivial run at most the ideal, a quarter of it, and a second."""
    environment = site.environment(works[0])
    log = site.folder / "dagster-run.log"
    site.prepare(works[0])
    run_process(_TRIVIAL, environment, log)  # the first one makes Dagster's tables
    for work in works:
        ours: list[Usage] = []
        trivial: list[Usage] = []
        for _ in range(times):
            site.prepare(work)
            ours.append(run_whole(site, work))
            trivial.append(_succeeded(run_process(_TRIVIAL, environment, log)))
        ledger.table(
            f"a whole Dagster run; {work}, ideal {work.ideal_s:.2f} s, medians of {times}",
            [
                {"run": name, "wall s": _wall(of), "CPU s": _cpu(of), "peak MB": max(one.peak_mb for one in of)}
                for name, of in (("evalops run", ours), ("four empty assets", trivial))
            ],
        )
        beyond = median(mine.wall_s - other.wall_s for mine, other in zip(ours, trivial, strict=True))
        ledger.goal("beyond the trivial run, s", beyond, limit=1.25 * work.ideal_s + 1)
        ledger.goal("  its CPU, ms a case", 1000 * (_cpu(ours) - _cpu(trivial)) / work.cases)


def run_whole(site: Site, work: Work) -> Usage:
    """`evalops run` on the suite that was prepared."""
    return _succeeded(run_process(_OURS, site.environment(work), site.folder / "dagster-run.log"))


def _succeeded(usage: Usage) -> Usage:
    if usage.exit_code:
        raise SystemExit(f"a run ended with {usage.exit_code}:\n{usage.said[-3000:]}")
    return usage


def _wall(of: Sequence[Usage]) -> float:
    return median(one.wall_s for one in of)


def _cpu(of: Sequence[Usage]) -> float:
    return median(one.cpu_s for one in of)
