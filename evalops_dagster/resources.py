"""The resources of a Dagster run: a `Workshop`, and the gates that only one run of a kind holds.

What belongs here: opening them for a Dagster run and closing them with it. What does not: what they do.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

import dagster as dg

from evalops_core.domain.suite import Suite
from evalops_core.errors import EvalOpsError
from evalops_core.settings import load_settings
from evalops_dagster.jobs import job_name
from evalops_dagster.launchers import refuse_database_of_one_machine
from evalops_dagster.pool import feature_of_pool

if TYPE_CHECKING:
    from evalops_core.wiring import Gate, Held, Workshop


@dg.resource(description="EvalOps as the settings of this process configure it: store, models, progress.")
def workshop_resource(context: dg.InitResourceContext) -> "Iterator[Workshop]":
    from evalops_core.wiring import open_workshop  # what an evaluation needs, which the definitions do not

    settings = load_settings()
    refuse_database_of_one_machine(context.instance, settings)
    with open_workshop(settings) as workshop:
        yield workshop


def gate_resource(suites: Mapping[str, Suite]) -> dg.ResourceDefinition:
    """The gate for runs of a code location with these suites."""

    @dg.resource(
        required_resource_keys={"evalops"},
        description="The lock in PostgreSQL that lets one eval run at a time through, or one of each feature, "
        "whichever deployment it belongs to.",
    )
    def gate(context: dg.InitResourceContext) -> "Iterator[Held]":
        """Held from before the first step that needs it until after the last; freed with the process at the latest."""
        yield from _held(context, lambda workshop: workshop.gate_of(_evaluated(context.run, suites)))

    return gate


@dg.resource(
    required_resource_keys={"evalops"},
    description="The lock in PostgreSQL that lets one day of drift at a time through, beside whatever eval run.",
)
def drift_gate_resource(context: dg.InitResourceContext) -> "Iterator[Held]":
    """As the gate of eval runs."""

    def gate(workshop: "Workshop") -> "Gate":
        from evalops_core.wiring import drift_gate

        return drift_gate(workshop)

    yield from _held(context, gate)


def _evaluated(run: dg.DagsterRun | None, suites: Mapping[str, Suite]) -> Collection[str]:
    """The features whose steps the run has: those of its pools, as Dagster's queue counts them; of one without pools of
    single features, those of its assets, or where it has no selection, of its job."""
    pools = run.run_op_concurrency.all_pools if run and run.run_op_concurrency else ()
    own = {feature_of_pool(pool) for pool in pools or ()} - {None}
    if own and own <= set(suites):
        return [name for name in suites if name in own]
    if run is None or run.asset_selection is None:
        job = run and run.job_name
        return [name for name, suite in suites.items() if job_name(suite.interval_hours) == job] or suites
    return set(suites) & {key.path[0] for key in run.asset_selection}


def _held(context: dg.InitResourceContext, of: "Callable[[Workshop], Gate]") -> "Iterator[Held]":
    workshop: Workshop = context.resources.evalops
    if context.run is None:
        from evalops_core.wiring import GateError

        raise GateError("the gate is held for a Dagster run, and there is none")
    log = context.log
    with ExitStack() as stack:
        try:
            wait_s = workshop.settings.gate_wait_s
            held = stack.enter_context(of(workshop).hold(context.run.run_id, wait_s=wait_s, said=log and log.info))
        except EvalOpsError as error:
            if log:
                # what Dagster shows of it begins with the resource's name and a traceback
                log.error(str(error))  # noqa: TRY400 - a sentence, not another traceback
            raise
        yield held
