"""Which of Dagster's executors a step that calls models may run under: one that keeps the run in one process.

What belongs here: that question and the sentence that refuses the others. What does not: where the process runs, which
is the run launcher's business (docs/distributed.md).

Our own jobs bring their executor along, and Dagster refuses another one where definitions are merged. A team's own job
over our assets may still have one, be it only Dagster's default: it has one process a step, and each of them would take
the gate and let go of it again, with another run's steps in between.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

_IN_ONE_PROCESS = frozenset({"in_process", "execute_in_process_executor"})
_EITHER = "multi_or_in_process_executor"  # Dagster's default; the run's configuration chooses


def keeps_one_process(executor: str, run_config: Mapping[str, Any]) -> bool:
    """Whether all steps of a run are executed in its own process; `executor` is the name of its job's executor."""
    if executor != _EITHER:
        return executor in _IN_ONE_PROCESS
    execution = run_config.get("execution") or {}
    return "in_process" in (execution.get("config") or execution)


def refuse_distributed_steps(context: dg.AssetExecutionContext) -> None:
    """dg.Failure, which is not retried, where the run's steps are executed by several processes."""
    executor = context.job_def.executor_def.name
    if not keeps_one_process(executor, context.run.run_config):
        raise dg.Failure(
            "eval runs need Dagster's in_process_executor, because the gate's lock belongs to one process, and this "
            f"run has {executor}; give its job executor_def=dagster.in_process_executor, and scale out by a run "
            "launcher instead (docs/distributed.md)",
            allow_retries=False,
        )
