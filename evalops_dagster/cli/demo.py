"""`evalops demo`: the main job once, on real input, from nothing but this package."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from evalops_core.domain.eval_run import EvalRun
    from evalops_core.wiring import Workshop
    from evalops_dagster.cli.stack import Stack

_LOOK_EVERY_S = 4.0


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    leave: Annotated[bool, typer.Option("--exit", help="End after the results instead of keeping the UI.")] = False,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port of the UI; 0 for any free one.")] = None,
) -> None:
    """Start everything, evaluate every suite for the current window as the schedule would, and show the scores.

    Without a key it uses the embedded model. A window is evaluated once: run again within it, nothing is called.
    """
    from evalops_core.settings import load_settings
    from evalops_core.wiring import open_workshop
    from evalops_dagster.cli.console import runs_table
    from evalops_dagster.cli.stack import running_stack
    from evalops_dagster.cli.waiting import say, until_interrupted

    settings = load_settings()
    with until_interrupted(), running_stack(settings, port, say) as stack, open_workshop(settings) as workshop:
        cases = sum(len(suite.cases) for suite in stack.suites.usable.values())
        say(f"\nevaluating {len(stack.suites.usable)} features, {cases} cases, for the current window …")
        started = time.monotonic()
        for hours in sorted({suite.interval_hours for suite in stack.suites.usable.values()}):
            _evaluate(stack, workshop, hours)
        say(f"done in {time.monotonic() - started:.0f} s\n")
        runs_table(_scheduled(stack, workshop))
        say(f"The same in the UI, with every case: {stack.url}/asset-groups")
        if not leave:
            say("Ctrl-C ends all of it.")
            stack.dagster.wait()


def _evaluate(stack: "Stack", workshop: "Workshop", hours: int) -> None:
    """Launch the job of one interval through the UI's own API and wait for it, telling how far it is."""
    from dagster import DagsterRunStatus
    from dagster_graphql import DagsterGraphQLClient

    from evalops_core.domain.window import window_of
    from evalops_core.errors import EvalOpsError
    from evalops_dagster.cli.waiting import say
    from evalops_dagster.jobs import job_name
    from evalops_dagster.tags import RUN_TYPE

    host = stack.url.removeprefix("http://").rpartition(":")[0]
    client = DagsterGraphQLClient(host, port_number=stack.port)
    window = window_of(workshop.tools.now(), hours)
    run_id = client.submit_job_execution(
        job_name(hours),
        repository_location_name="evalops",
        tags={"dagster/partition": window.key, RUN_TYPE: "scheduled"},
    )
    say(f"run {run_id}: {stack.url}/runs/{run_id}")
    told = ""
    while (status := client.get_run_status(run_id)) not in (
        DagsterRunStatus.SUCCESS,
        DagsterRunStatus.FAILURE,
        DagsterRunStatus.CANCELED,
    ):
        if stack.dagster.poll() is not None:
            raise EvalOpsError(f"Dagster ended; see {stack.log}")
        now = _progress(stack, workshop)
        if now != told:
            told = now
            say(f"  {now}")
        time.sleep(_LOOK_EVERY_S)
    if status is not DagsterRunStatus.SUCCESS:
        raise EvalOpsError(f"the run ended as {status.value}: {stack.url}/runs/{run_id} says why")


def _progress(stack: "Stack", workshop: "Workshop") -> str:
    """How many cases of each feature are answered and scored; Dagster takes all features a step at a time."""
    parts: list[str] = []
    for run in _scheduled(stack, workshop):
        suite = stack.suites.usable[run.feature]
        total = len(suite.cases) * suite.repeats
        if run.status == "running":
            answered = len(workshop.tools.results.responses(run.id))
            scored = len({(row.case_id, row.repeat) for row in workshop.tools.results.scores(run.id)})
            parts.append(f"{run.feature} {f'{scored} scored' if scored else f'{answered} answered'} of {total}")
        else:
            parts.append(f"{run.feature} {run.status}")
    return " · ".join(parts) or "waiting for Dagster to start the run"


def _scheduled(stack: "Stack", workshop: "Workshop") -> "list[EvalRun]":
    """The current window's scheduled run of every feature that has one, by feature."""
    from evalops_core.domain.window import window_of

    found = [
        workshop.tools.runs.scheduled(name, window_of(workshop.tools.now(), suite.interval_hours).key)
        for name, suite in sorted(stack.suites.usable.items())
    ]
    return [run for run in found if run is not None]
