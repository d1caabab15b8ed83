"""Peak memory of one eval run as the suite grows: the engine alone, and a whole Dagster run.

What belongs here: small, large and very large suites side by side. What does not: time (compare, dagster_run).
"""

from collections.abc import Sequence

from benchmarks.bench_site import Site
from benchmarks.compare import run_ours
from benchmarks.dagster_run import run_whole
from benchmarks.ledger import Ledger
from benchmarks.runner import Usage
from benchmarks.work import Work

_FLAT_MB = 60
_SIZES = (Work(200, 5, 20), Work(5000, 5, 100), Work(100_000, 5, 100))


def memory(site: Site, ledger: Ledger, sizes: Sequence[Work] = _SIZES) -> None:
    """The difference between the smallest and the largest peak is to stay small, whatever the number of cases."""
    engine: list[Usage] = []
    whole: list[Usage] = []
    for work in sizes:
        site.prepare(work)
        engine.append(run_ours(site, work).usage)
        site.prepare(work)
        whole.append(run_whole(site, work))
    ledger.table(
        "peak memory of the largest process, MB",
        [
            {"cases": work.cases, "engine": one.peak_mb, "evalops run": other.peak_mb}
            for work, one, other in zip(sizes, engine, whole, strict=True)
        ],
    )
    for name, of in (("engine", engine), ("evalops run", whole)):
        peaks = [usage.peak_mb for usage in of]
        ledger.goal(f"{name}, largest − smallest, MB", max(peaks) - min(peaks), limit=_FLAT_MB)
