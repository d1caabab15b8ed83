"""What an eval run costs besides the model's calls: `make bench`.

One generation and one judge call a case against a mock endpoint on loopback with a fixed latency, every result durable
in a PostgreSQL of its own. The ideal is 2 × cases × latency / calls in flight; no client can be quicker.
"""

import argparse
import asyncio
import os
import resource
import tempfile
import time
from pathlib import Path

from evalops_core.postgres.guard import guarded_server
from evalops_core.run.evaluate import evaluate
from evalops_core.run.progress import silent
from evalops_core.settings import load_settings
from evalops_core.store.engine import make_engine
from evalops_core.store.schema import upgrade
from evalops_core.wiring import workshop_over
from tests.builders import make_suite
from tests.mock_fixture import start_mock


def main() -> None:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--latency-ms", type=float, default=20)
    parser.add_argument("--in-flight", type=int, default=50)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), chosen.cases, chosen.latency_ms, chosen.in_flight)


def measure(folder: Path, cases: int, latency_ms: float, in_flight: int) -> None:
    process, mock = start_mock()
    with process, guarded_server(folder / "postgres") as server:
        mock.configure(latency_ms=latency_ms)
        engine = make_engine(server.url)
        upgrade(engine)
        settings = load_settings(
            home=folder, judge_model="mock-judge", judge_base_url=mock.base_url, max_concurrency=in_flight
        )
        workshop = workshop_over(engine, settings)
        plan = workshop.plan(make_suite(folder, mock.base_url, cases=cases), run_type="manual")
        before, began = os.times(), time.perf_counter()
        run = asyncio.run(evaluate(plan, workshop.tools, silent))
        wall, after = time.perf_counter() - began, os.times()
        engine.dispose()
        process.terminate()
    cpu = after.user - before.user + after.system - before.system
    ideal = 2 * cases * latency_ms / 1000 / in_flight
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{cases} cases, {latency_ms:g} ms, {in_flight} in flight: {wall:.2f} s = {wall / ideal:.2f} × ideal, "
        f"{1000 * cpu / cases:.2f} ms CPU a case, peak {peak:.0f} MB, {run.n} scored, mean {run.score}"
    )


if __name__ == "__main__":
    main()
