"""What the steps of an eval run do inside Dagster, and what they tell.

What belongs here: the bodies of the assets of a feature (features). What does not: how an evaluation works (`run`).
Imported when a step runs, for it brings all that an evaluation needs: Dagster loads the definitions in each of its
processes, and few of them evaluate.
"""

from collections.abc import Callable
from datetime import datetime, timezone
from typing import TypeVar

import dagster as dg

from evalops_core.domain.eval_run import EvalRun
from evalops_core.domain.suite import Suite
from evalops_core.errors import EvalOpsError
from evalops_core.run.evaluate import answer, conclude, score
from evalops_core.run.fallen import most_moved
from evalops_core.run.plan import Plan
from evalops_core.run.progress import Progress, Report, sparing
from evalops_core.run.tally import tally
from evalops_core.wiring import Held, Workshop
from evalops_dagster import metadata as say
from evalops_dagster.executors import refuse_distributed_steps
from evalops_dagster.interruptible import run_interruptible
from evalops_dagster.tags import read_tags

_WORST = 10  # cases that the score's page shows
T = TypeVar("T")


def materialize_responses(context: dg.AssetExecutionContext, suite: Suite) -> dg.MaterializeResult:
    """Begin or continue the eval run of this partition, and ask the model what it has not answered yet."""
    workshop, gate = _resources(context)
    plan, tools = _plan(context, workshop, suite), workshop.tools
    begun = explained(lambda: run_interruptible(answer(plan, tools, _report(context, workshop, gate))))
    found = tally(begun.run, plan, tools.results)
    return dg.MaterializeResult(
        metadata={
            **say.response_metadata(found),
            **say.call_metadata(found.answers),
            **say.run_metadata(begun.run, model=found.model),
            "begun": {"new": "anew", "resumed": "resumed", "done": "done before, nothing called"}[begun.how],
        }
    )


def materialize_judgments(context: dg.AssetExecutionContext, suite: Suite) -> dg.MaterializeResult:
    """Score what has no score yet."""
    workshop, gate = _resources(context)
    plan, tools = _plan(context, workshop, suite), workshop.tools
    run = explained(lambda: run_interruptible(score(plan, tools, _report(context, workshop, gate))))
    found = tally(run, plan, tools.results)
    return dg.MaterializeResult(
        metadata={
            **say.judgment_metadata(found),
            **say.cache_metadata(found, workshop.judgments_from_cache(run.id)),
            **say.call_metadata(found.judgments),
            **say.run_metadata(run, judge=found.judge),
        }
    )


def materialize_eval_score(context: dg.AssetExecutionContext, suite: Suite, coverage: str) -> dg.MaterializeResult:
    """Close the eval run with its score; `coverage` is the name of the check that says whether enough was scored."""
    workshop, gate = _resources(context)
    plan, tools = _plan(context, workshop, suite), workshop.tools
    gate.ensure()
    run, found = explained(lambda: conclude(plan, tools, worst_cases=_WORST))
    context.log.info(say.score_in_words(run))
    return dg.MaterializeResult(
        metadata={
            **say.score_metadata(run),
            **say.latency_metadata(found.latency),
            **say.run_metadata(run),
            "worst cases": say.worst_cases(found.worst),
            **say.moved_cases(most_moved(workshop.engine, run, plan.cases)),
            "suite": dg.MetadataValue.path(str(suite.folder / "suite.yaml")),
        },
        check_results=[_coverage(run, coverage)],
    )


def _resources(context: dg.AssetExecutionContext) -> tuple[Workshop, Held]:
    """Typed here: an annotation of the asset's own would have to be imported with it."""
    refuse_distributed_steps(context)
    return context.resources.evalops, context.resources.gate


def _coverage(run: EvalRun, name: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name,
        passed=run.status != "invalid",
        severity=dg.AssetCheckSeverity.ERROR,
        description=run.status_reason,
        metadata=say.present({"coverage": run.coverage, "unscored cases": run.n_unscored}),
    )


def _plan(context: dg.AssetExecutionContext, workshop: Workshop, suite: Suite) -> Plan:
    def plan() -> Plan:
        tags = read_tags(context.run.run_id, context.run.tags)
        return workshop.plan(
            suite,
            partition_key=context.partition_key,
            run_type=tags.run_type,
            limit=tags.limit,
            dagster_run_id=tags.root_run_id,
            confirms_run_id=tags.confirms,
            use_cache=tags.use_cache,
            asked_at=_asked_at(context, workshop),
        )

    return explained(plan)


def _asked_at(context: dg.AssetExecutionContext, workshop: Workshop) -> datetime | None:
    """When this Dagster run was launched, by the workshop's clock: it may have waited in the queue since."""
    record = context.instance.get_run_record_by_id(context.run.run_id)
    if record is None:
        return None
    return workshop.tools.now() - (datetime.now(timezone.utc) - record.create_timestamp)


def _report(context: dg.AssetExecutionContext, workshop: Workshop, gate: Held) -> Report:
    """Progress as log lines, or as the workshop has it; a step that has lost the gate ends at its next result."""
    show = workshop.report or sparing(context.log.info)

    def report(progress: Progress) -> None:
        gate.ensure()
        show(progress)

    return report


def explained(step: Callable[[], T]) -> T:
    """A mistake that a person can mend is shown as one sentence, not as a traceback."""
    try:
        return step()
    except EvalOpsError as error:
        raise dg.Failure(str(error)) from error
