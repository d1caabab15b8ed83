"""Our engine as a whole process, as a peer would be run: `EVALOPS_…=… python -m benchmarks.ours`.

What belongs here: evaluating the suite of the environment without Dagster. What does not: measuring (runner).
"""

import asyncio
import gc

from evalops_core.run.garbage import sparing_collector


def main() -> None:
    """Evaluate, and print the RESULT line; a run that was cut short is continued."""
    from benchmarks.result import Result
    from benchmarks.work import FEATURE
    from evalops_core.run.evaluate import evaluate
    from evalops_core.run.progress import silent
    from evalops_core.settings import load_settings
    from evalops_core.suites.loader import load_suite
    from evalops_core.wiring import open_workshop

    settings = load_settings()
    suite = load_suite(settings.suites[0] / FEATURE)
    with open_workshop(settings) as workshop:
        plan = workshop.plan(suite, run_type="manual")
        run = asyncio.run(evaluate(plan, workshop.tools, silent))
    Result("evalops engine", len(suite.cases), run.n or 0, float(run.score or 0)).print()


if __name__ == "__main__":
    with sparing_collector():  # as the command does it, and its imports in it
        main()
    gc.freeze()
