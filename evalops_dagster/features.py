"""One feature's asset chain: golden_cases → responses → judgments → eval_score, in a group of its own.

What belongs here: the assets of one suite and what they tell. What does not: how an evaluation works (`run`), which
suites there are (definitions). Steps pass nothing to each other: each finds its rows by feature, window and run.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any, TypeVar, cast

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
from evalops_dagster.interruptible import run_interruptible
from evalops_dagster.partitions import window_partitions
from evalops_dagster.pool import POOL
from evalops_dagster.tags import read_tags

COVERAGE = "coverage"
_WORST = 10  # cases that the score's page shows
T = TypeVar("T")


def feature_assets(suite: Suite, since: datetime) -> Sequence[dg.AssetsDefinition]:
    """The four assets of a feature; windows start with the one that holds `since`."""
    feature = suite.feature
    common: dict[str, Any] = {
        "key_prefix": feature,
        "group_name": feature,
        "owners": _owners(suite.owner),
        "tags": {"evalops/feature": feature},
    }
    windowed: dict[str, Any] = {
        **common,
        "partitions_def": window_partitions(suite.interval_hours, since),
        "pool": POOL,
    }
    model = suite.model.name or "the configured model"
    times = "asked once each" if suite.repeats == 1 else f"asked {suite.repeats} times each"
    scorers = ", ".join(spec.name for spec in suite.scorers)

    @dg.asset(
        **common,
        name="golden_cases",
        kinds={"jsonl"},
        description=f"{suite.description}\n\n{len(suite.cases)} golden cases with their references.",
    )
    def golden_cases() -> dg.MaterializeResult:
        hashes = {
            "dataset hash": suite.dataset_hash,
            "prompt hash": suite.prompt_hash,
            "scorers hash": suite.rubric_hash,
        }
        return dg.MaterializeResult(
            metadata=say.suite_metadata(
                len(suite.cases), suite.interval_hours, hashes, str(suite.folder / "suite.yaml")
            ),
            data_version=dg.DataVersion(suite.dataset_hash),
        )

    @dg.asset(
        **windowed,
        name="responses",
        deps=[golden_cases],
        kinds={"llm", "postgres"},
        description=f"What {model} answers to every golden case, {times}. "
        "Each answer is stored as it arrives; an interrupted run continues where it stopped.",
    )
    def responses(
        context: dg.AssetExecutionContext, evalops: dg.ResourceParam[Workshop], gate: dg.ResourceParam[Held]
    ) -> dg.MaterializeResult:
        plan, tools = _plan(context, evalops, suite), evalops.tools
        begun = _explained(lambda: run_interruptible(answer(plan, tools, _report(context, evalops, gate))))
        found = tally(begun.run, plan, tools.results)
        return dg.MaterializeResult(
            metadata={
                **say.response_metadata(found),
                **say.call_metadata(found.answers),
                **say.run_metadata(begun.run, model=found.model),
                "begun": {"new": "anew", "resumed": "resumed", "done": "done before, nothing called"}[begun.how],
            }
        )

    @dg.asset(
        **windowed,
        name="judgments",
        deps=[responses],
        kinds={"llm", "postgres"},
        description=f"Every response scored 1–5 by {scorers}. Materialized without new responses it judges the "
        "stored ones again, as a manual run; what the judge was asked before, it is not asked again.",
    )
    def judgments(
        context: dg.AssetExecutionContext, evalops: dg.ResourceParam[Workshop], gate: dg.ResourceParam[Held]
    ) -> dg.MaterializeResult:
        plan, tools = _plan(context, evalops, suite), evalops.tools
        run = _explained(lambda: run_interruptible(score(plan, tools, _report(context, evalops, gate))))
        found = tally(run, plan, tools.results)
        return dg.MaterializeResult(
            metadata={
                **say.judgment_metadata(found),
                **say.cache_metadata(found, evalops.judgments_from_cache(run.id)),
                **say.call_metadata(found.judgments),
                **say.run_metadata(run, judge=found.judge),
            }
        )

    @dg.asset(
        **windowed,
        name="eval_score",
        deps=[judgments],
        kinds={"postgres"},
        description="The feature's score in this window: the mean over its scored cases, with standard error and "
        "coverage.",
        check_specs=[
            dg.AssetCheckSpec(
                COVERAGE,
                asset=[feature, "eval_score"],
                description=f"At least {suite.regression.min_coverage:.0%} of the cases have a score; "
                "with fewer the run is invalid, which is not the same as low.",
            )
        ],
    )
    def eval_score(
        context: dg.AssetExecutionContext, evalops: dg.ResourceParam[Workshop], gate: dg.ResourceParam[Held]
    ) -> dg.MaterializeResult:
        plan, tools = _plan(context, evalops, suite), evalops.tools
        gate.ensure()
        run, found = _explained(lambda: conclude(plan, tools, worst_cases=_WORST))
        context.log.info(say.score_in_words(run))
        return dg.MaterializeResult(
            metadata={
                **say.score_metadata(run),
                **say.latency_metadata(found.latency),
                **say.run_metadata(run),
                "worst cases": say.worst_cases(found.worst),
                **say.moved_cases(most_moved(evalops.engine, run, plan.cases)),
                "suite": dg.MetadataValue.path(str(suite.folder / "suite.yaml")),
            },
            check_results=[_coverage(run)],
        )

    chain = [golden_cases, responses, judgments, eval_score]
    return cast("list[dg.AssetsDefinition]", chain)  # the decorator's overloads get lost in keyword mappings


def broken_feature(feature: str, problem: str) -> dg.AssetsDefinition:
    """What stands in the place of a suite that cannot be read: the other features go on, and this one says why."""

    @dg.asset(
        name="golden_cases",
        key_prefix=feature,
        group_name=feature,
        kinds={"jsonl"},
        tags={"evalops/feature": feature},
        description=f"⚠ This suite cannot be used: {problem}",
    )
    def golden_cases() -> None:
        raise dg.Failure(problem, allow_retries=False)

    return golden_cases


def _coverage(run: EvalRun) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=COVERAGE,
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

    return _explained(plan)


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


def _explained(step: Callable[[], T]) -> T:
    """A mistake that a person can mend is shown as one sentence, not as a traceback."""
    try:
        return step()
    except EvalOpsError as error:
        raise dg.Failure(str(error)) from error


def _owners(owner: str | None) -> list[str]:
    """Dagster takes e-mail addresses and `team:` names."""
    if not owner:
        return []
    return [owner if "@" in owner or owner.startswith("team:") else f"team:{owner}"]
