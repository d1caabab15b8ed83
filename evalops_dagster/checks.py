"""What Dagster shows of verdicts and of mails: asset checks.

What belongs here: the checks. What does not: their words (verdict_pages), verdicts and delivery (`evalops_core.run`),
when they are reported (alert_ticks). They are reported without a run and without a partition: a second report without a
run for the same partition is refused by Dagster's event log for ever, so the window stands in the metadata.
"""

import dagster as dg

NO_REGRESSION = "no_regression"
ALERTS_DELIVERED = "alerts_delivered"


def score_key(feature: str) -> dg.AssetKey:
    return dg.AssetKey([feature, "eval_score"])


def regression_check(feature: str) -> dg.AssetChecksDefinition:
    """The check on a feature's score, which `regression_sensor` reports.

    Executed with a materialization by hand it only repeats the verdict on the newest scheduled score.
    """

    @dg.asset_check(
        asset=score_key(feature),
        name=NO_REGRESSION,
        required_resource_keys={"evalops"},
        description="The newest scheduled score has not fallen against its baseline, and no regression is open. "
        "Reported by regression_sensor after each scheduled run; runs by hand are compared with nothing.",
    )
    def no_regression(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        from evalops_dagster.verdict_pages import standing

        return standing(context.resources.evalops, feature)

    return no_regression


def delivery_check(trend: dg.AssetKey) -> dg.AssetChecksDefinition:
    """The check that alerts reach people, which `alert_delivery_sensor` reports."""

    @dg.asset_check(
        asset=trend,
        name=ALERTS_DELIVERED,
        required_resource_keys={"evalops"},
        description="No alert mail was given up (`evalops alerts list`). Reported by alert_delivery_sensor.",
    )
    def alerts_delivered(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        from evalops_dagster.verdict_pages import delivery_facts, given_up

        dead = given_up(context.resources.evalops)
        return dg.AssetCheckResult(passed=not dead, **delivery_facts(dead))

    return alerts_delivered
