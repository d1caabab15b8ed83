"""What the steps of a day of drift do inside Dagster.

What belongs here: the bodies of the assets (drift). What does not: how drift works (`run.drift`), what pages show
(drift_metadata). Imported when a step runs.
"""

from datetime import date

import dagster as dg

from evalops_core.domain.suite import Suite
from evalops_core.run.drift.detect import detect_drift
from evalops_core.run.drift.sample import sample_day
from evalops_core.run.drift.view import farthest_texts, recent_days
from evalops_core.wiring import Held, Workshop, alert_rules, embedder, embedding_name
from evalops_dagster import drift_metadata as say
from evalops_dagster.drift import NO_INPUT_DRIFT
from evalops_dagster.executors import refuse_distributed_steps
from evalops_dagster.interruptible import run_interruptible
from evalops_dagster.steps import explained


def materialize_centroid(context: dg.AssetExecutionContext, suite: Suite) -> dg.MaterializeResult:
    """Sample the partition's day and keep its centroid, unless that is there."""
    workshop, gate = _resources(context)
    gate.ensure()
    sampled = explained(
        lambda: run_interruptible(
            sample_day(workshop.engine, suite.feature, _day(context), suite.drift, embedder(workshop))
        )
    )
    return dg.MaterializeResult(metadata=say.of_sample(sampled))


def materialize_drift(context: dg.AssetExecutionContext, suite: Suite) -> dg.MaterializeResult:
    """Decide the partition's day, unless it is decided, and tell people what that comes to."""
    workshop, gate = _resources(context)
    gate.ensure()
    rules = alert_rules(workshop.settings, {suite.feature: suite})
    found = explained(
        lambda: detect_drift(
            workshop.engine,
            suite.feature,
            _day(context),
            embedding_name(workshop.settings),
            rules,
            workshop.tools.now(),
        )
    )
    day = found.day
    context.log.info(f"{day.day}: {day.state}, {day.why}")
    texts = farthest_texts(workshop.engine, day, rules.of(suite.feature))
    history = recent_days(workshop.engine, day)
    return dg.MaterializeResult(
        metadata=say.of_day(day, history, texts, repeated=found.repeated),
        check_results=[say.check_of(day, NO_INPUT_DRIFT)],
    )


def _day(context: dg.AssetExecutionContext) -> date:
    return date.fromisoformat(context.partition_key)


def _resources(context: dg.AssetExecutionContext) -> tuple[Workshop, Held]:
    refuse_distributed_steps(context)
    return context.resources.evalops, context.resources.drift_gate
