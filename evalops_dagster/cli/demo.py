"""`evalops demo`: the main job once, on real input, from nothing but this package.

What belongs here: launching and following it. What does not: starting what it runs on (stack).
"""

import contextlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from evalops_core.domain.eval_run import EvalRun
    from evalops_core.domain.window import Window
    from evalops_core.wiring import Workshop
    from evalops_dagster.cli.stack import Stack

_LOOK_EVERY_S = 4.0


def register(app: typer.Typer) -> None:
    app.command(short_help="Evaluate every suite once and show the scores.")(demo)


def demo(
    leave: Annotated[bool, typer.Option("--exit", help="End after the results instead of keeping the UI.")] = False,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, metavar="PORT", help="Port of the UI, 3000 or the next free one; 0 for any."),
    ] = None,
) -> None:
    """Start everything, evaluate every suite for the current window as the schedule would, and show the scores.

    Without a key it uses the embedded model. A window is evaluated once: run again within it, nothing is called.

    \b
      evalops demo          and leave the UI running until Ctrl-C
      evalops demo --exit   and end
    """
    from evalops_core.domain.window import window_of
    from evalops_core.errors import ConfigError, EvalOpsError
    from evalops_core.settings import load_settings
    from evalops_core.wiring import open_workshop
    from evalops_dagster.cli.console import runs_table
    from evalops_dagster.cli.stack import running_stack
    from evalops_dagster.cli.waiting import say

    settings = load_settings()
    with running_stack(settings, port, say) as stack, open_workshop(settings) as workshop:
        suites, now = stack.suites.usable, workshop.tools.now()
        if not suites:
            raise ConfigError(f"there is nothing to evaluate: {'; '.join(stack.suites.broken.values())}")
        windows = {name: window_of(now, suite.interval_hours) for name, suite in sorted(suites.items())}
        failures = _evaluate(stack, workshop, windows)
        runs_table(_scheduled(workshop, windows))
        for problem in stack.suites.broken.values():
            say(f"not evaluated: {problem}")
        say(f"The same in the UI, with every case: {stack.url}/asset-groups")
        if failures:
            raise EvalOpsError("; ".join(failures))
        if not leave:
            say("Ctrl-C ends all of it.")
            with contextlib.suppress(KeyboardInterrupt):
                stack.dagster.stay()


def _evaluate(stack: "Stack", workshop: "Workshop", windows: "Mapping[str, Window]") -> list[str]:
    """Evaluate what the windows lack, a Dagster run for each interval; the reasons of those that failed."""
    from evalops_dagster.cli.waiting import say

    done = [run.feature for run in _scheduled(workshop, windows) if run.status == "completed"]
    missing = {name: window for name, window in windows.items() if name not in done}
    if done:
        say(f"\nalready evaluated in this window, so nothing is called again: {', '.join(done)}")
    if not missing:
        return []
    cases = sum(len(stack.suites.usable[name].cases) for name in missing)
    say(f"\nevaluating {', '.join(missing)}: {cases} cases, for the current window …")
    started = time.monotonic()
    failures: list[str] = []
    for hours in sorted({stack.suites.usable[name].interval_hours for name in missing}):
        failures += _run_job(stack, workshop, hours, windows)
    say(f"done in {time.monotonic() - started:.0f} s")
    return failures


def _run_job(stack: "Stack", workshop: "Workshop", hours: int, windows: "Mapping[str, Window]") -> list[str]:
    """Launch the job of one interval as the UI does and wait for its end, telling how far it is."""
    from evalops_dagster.cli.dagster_api import ENDED
    from evalops_dagster.cli.waiting import say
    from evalops_dagster.jobs import job_name
    from evalops_dagster.tags import RUN_TYPE

    of_job = {name: window for name, window in windows.items() if stack.suites.usable[name].interval_hours == hours}
    key = next(iter(of_job.values())).key
    api = stack.dagster.api
    run_id = api.launch(job_name(hours), {"dagster/partition": key, RUN_TYPE: "scheduled"})
    say(f"Dagster run: {stack.url}/runs/{run_id}")
    told = ""
    while (status := api.status(run_id)) not in ENDED:
        stack.dagster.ensure_alive()
        now = _progress(stack, workshop, of_job)
        if now != told:
            told = now
            say(f"  {now}")
        time.sleep(_LOOK_EVERY_S)
    if status == "SUCCESS":
        return []
    return api.failures(run_id) or [f"the Dagster run ended as {status}"]


def _progress(stack: "Stack", workshop: "Workshop", windows: "Mapping[str, Window]") -> str:
    """How many cases of each feature are answered and scored; Dagster takes all features a step at a time."""
    parts: list[str] = []
    for run in _scheduled(workshop, windows):
        suite = stack.suites.usable[run.feature]
        total = len(suite.cases) * suite.repeats
        if run.status == "running":
            answered = len(workshop.tools.results.responses(run.id))
            scored = len({(row.case_id, row.repeat) for row in workshop.tools.results.scores(run.id)})
            parts.append(f"{run.feature} {f'{scored} scored' if scored else f'{answered} answered'} of {total}")
        else:
            parts.append(f"{run.feature} {run.status}")
    return " · ".join(parts) or "waiting for Dagster to start the run"


def _scheduled(workshop: "Workshop", windows: "Mapping[str, Window]") -> "list[EvalRun]":
    """The windows' scheduled runs, of those features that have one."""
    found = [workshop.tools.runs.scheduled(name, window.key) for name, window in windows.items()]
    return [run for run in found if run is not None]
