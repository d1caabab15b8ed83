"""One feature's asset chain: golden_cases → responses → judgments → eval_score, in a group of its own.

What belongs here: the assets of one suite, as Dagster shows them before anything runs. What does not: what their steps
do (steps), which suites there are (definitions). Steps pass nothing to each other: each finds its rows by feature,
window and run.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

import dagster as dg

from evalops_core.domain.suite import Suite
from evalops_core.setting_types import GateScope
from evalops_dagster.partitions import window_partitions
from evalops_dagster.pool import eval_pool

COVERAGE = "coverage"


def feature_assets(suite: Suite, since: datetime, gate_scope: GateScope = "all") -> Sequence[dg.AssetsDefinition]:
    """The four assets of a feature; windows start with the one that holds `since`, and `gate_scope` says whether its
    runs queue with those of other features."""
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
        "pool": eval_pool(feature, gate_scope),
        "required_resource_keys": {"evalops", "gate"},
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
        return dg.MaterializeResult(
            metadata={
                "cases": len(suite.cases),
                "interval (h)": suite.interval_hours,
                "dataset hash": suite.dataset_hash,
                "prompt hash": suite.prompt_hash,
                "scorers hash": suite.rubric_hash,
                "suite": dg.MetadataValue.path(str(suite.folder / "suite.yaml")),
            },
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
    def responses(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from evalops_dagster.steps import materialize_responses

        return materialize_responses(context, suite)

    @dg.asset(
        **windowed,
        name="judgments",
        deps=[responses],
        kinds={"llm", "postgres"},
        description=f"Every response scored 1–5 by {scorers}. Materialized without new responses it judges the "
        "stored ones again, as a manual run; what the judge was asked before, it is not asked again.",
    )
    def judgments(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from evalops_dagster.steps import materialize_judgments

        return materialize_judgments(context, suite)

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
    def eval_score(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from evalops_dagster.steps import materialize_eval_score

        return materialize_eval_score(context, suite, COVERAGE)

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


def _owners(owner: str | None) -> list[str]:
    """Dagster takes e-mail addresses and `team:` names."""
    if not owner:
        return []
    return [owner if "@" in owner or owner.startswith("team:") else f"team:{owner}"]
