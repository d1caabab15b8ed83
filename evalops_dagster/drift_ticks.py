"""What a tick of the drift schedule does: a run for each feature's day that is due, or the reason for none.

What belongs here: turning a tick's decision into what Dagster takes. What does not: the decision (`run.drift.due`).
Imported at the first tick.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import date

import dagster as dg

from evalops_core.domain.suite import Suite
from evalops_core.run.drift.due import decide_drift_tick
from evalops_core.settings import load_settings
from evalops_core.wiring import Workshop, embedding_name, open_workshop
from evalops_dagster.drift import CENTROID, DRIFT, JOB, NO_INPUT_DRIFT, drift_key
from evalops_dagster.schedule_ticks import UNFINISHED
from evalops_dagster.tags import DRIFT_OF, RUN_TYPE


def tick(
    context: dg.ScheduleEvaluationContext, suites: Mapping[str, Suite], given: Workshop | None
) -> Sequence[dg.RunRequest] | dg.SkipReason:
    """One run a feature and day, so that one that fails takes no other with it; a feature's days in their order."""
    with nullcontext(given) if given else open_workshop(load_settings()) as workshop:
        model = embedding_name(workshop.settings)
        found = decide_drift_tick(workshop.engine, suites.values(), model, workshop.tools.now())
    busy = _unfinished(context.instance)
    start = [(feature, day) for feature, day in found.start if (feature, str(day)) not in busy]
    for reason in found.reasons:
        context.log.info(reason)
    if not start:
        waiting = [f"{feature} of {day} is queued or running" for feature, day in found.start]
        return dg.SkipReason("; ".join([*waiting, *found.reasons]) or "there is no feature")
    return [_request(feature, day) for feature, day in start]


def _request(feature: str, day: date) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{feature}:{day}",  # within this tick; a day that failed is due again at the next
        job_name=JOB,
        partition_key=str(day),
        asset_selection=[drift_key(feature, CENTROID), drift_key(feature, DRIFT)],
        asset_check_keys=[dg.AssetCheckKey(drift_key(feature), NO_INPUT_DRIFT)],
        tags={RUN_TYPE: "scheduled", DRIFT_OF: feature},
    )


def _unfinished(instance: dg.DagsterInstance) -> set[tuple[str, str]]:
    """(feature, day) of the scheduled runs that are queued or running here."""
    runs = instance.get_runs(dg.RunsFilter(job_name=JOB, statuses=list(UNFINISHED)))
    return {(run.tags[DRIFT_OF], run.tags.get("dagster/partition", "")) for run in runs if DRIFT_OF in run.tags}
