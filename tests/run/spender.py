"""`python -m tests.run.spender SUITES_FOLDER`: one replica that evaluates every suite there, settings from EVALOPS_…

Prints a JSON line for each run; waits for its standard input to close before it starts, so that several start at once.
"""

import asyncio
import json
import sys
from pathlib import Path

from evalops_core.run.evaluate import evaluate
from evalops_core.run.progress import silent
from evalops_core.settings import load_settings
from evalops_core.suites.loader import load_suites
from evalops_core.wiring import open_workshop


def main(folder: Path) -> None:
    with open_workshop(load_settings(), silent) as workshop:
        print("ready", flush=True)
        sys.stdin.read()
        for suite in load_suites([folder]).values():
            run = asyncio.run(evaluate(workshop.plan(suite, run_type="manual"), workshop.tools, silent))
            print(json.dumps({"id": run.id, "status": run.status, "reason": run.status_reason}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
