"""An eval run as `evalops run` tells of it: with how much of it was not asked for again.

What belongs here: what a run's row does not hold. What does not: looks (console).
"""

from dataclasses import dataclass, fields

from evalops_core.domain.eval_run import EvalRun


@dataclass(frozen=True, slots=True)
class RunResult(EvalRun):
    """`judgments_from_cache` are those that were taken from earlier runs, without a call."""

    judgments_from_cache: int = 0


def result_of(run: EvalRun, judgments_from_cache: int) -> RunResult:
    values = {field.name: getattr(run, field.name) for field in fields(EvalRun)}
    return RunResult(**values, judgments_from_cache=judgments_from_cache)
