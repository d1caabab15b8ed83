"""What the heartbeat's tick does.

What belongs here: asking Dagster for the state of its runs, and telling it what became of a ping. What does not: the
decision (`evalops_core.run.heartbeat`), the call, the sensor (heartbeat). Imported at the first tick with an address.
"""

from collections.abc import Collection
from contextlib import nullcontext

import dagster as dg

from evalops_core.run.heartbeat import RunState, Silent, look
from evalops_core.settings import load_settings
from evalops_core.wiring import Workshop, heartbeat_of, open_workshop
from evalops_dagster.tags import ROOT_RUN, read_tags

_RETRIES_SEEN = 20


def ping(
    context: dg.SensorEvaluationContext, features: Collection[str], broken: Collection[str], given: Workshop | None
) -> dg.SensorResult:
    """The cursor is the newest verdict that a ping has stood for; it moves when the ping was taken, so that one that
    failed is made again at the next tick."""
    told, settings = int(context.cursor or 0), load_settings()
    heartbeat = heartbeat_of(settings)  # first, so that what is no address is said before it is needed
    with open_workshop(settings) if given is None else nullcontext(given) as workshop:
        known = _States(context.instance, workshop)
        found = look(workshop.engine, features, broken, told, workshop.tools.now(), known.of)
    if isinstance(found, Silent):
        return dg.SensorResult(skip_reason=f"no ping: {found.why}", cursor=context.cursor)
    failure = "there is no address" if heartbeat is None else heartbeat.ping()
    if failure is not None:
        words = f"the ping of EVALOPS_HEARTBEAT_URL failed: {failure}; the next tick tries again"
        context.log.warning(words)
        return dg.SensorResult(skip_reason=words, cursor=context.cursor)
    return dg.SensorResult(skip_reason=f"pinged: {found}", cursor=str(found.verdict))


class _States:
    """What this Dagster knows of its runs, and the gate of those of other deployments."""

    def __init__(self, instance: dg.DagsterInstance, workshop: Workshop) -> None:
        self._instance, self._workshop = instance, workshop

    def of(self, root: str) -> RunState | None:
        """Of the newest scheduled one of the re-executions of `root`; None where none is known and none is going on."""
        again = self._instance.get_runs(dg.RunsFilter(tags={ROOT_RUN: root}), limit=_RETRIES_SEEN)
        first = self._instance.get_run_by_id(root)
        for run in [*again, *([first] if first else [])]:
            if read_tags(run.run_id, run.tags).run_type != "scheduled":
                continue  # a person's own attempt says nothing about the cycle
            if not run.is_finished:
                return "going on"
            return "succeeded" if run.status is dg.DagsterRunStatus.SUCCESS else "failed"
        return "going on" if root in self._workshop.gate().runs_present() else None
