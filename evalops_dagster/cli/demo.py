"""`evalops demo`: the main job once, on real input, from nothing but this package.

What belongs here: launching and following it. What does not: starting what it runs on (stack).
"""

import contextlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

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
    """Start everything, evaluate every suite as the schedule would, make one feature really worse, and show the alert.

    Without a key it uses the embedded model. It works in a folder of its own, EVALOPS_HOME/demo, with a copy of the
    shipped suites, and mails nobody. First all suites are evaluated for the window before; then the prompt of
    `explain` loses a line and that feature is evaluated for the current window. Run again on the same day, nothing is
    called. With EVALOPS_SUITES of yours it only evaluates them, for the current window.

    \b
      evalops demo          and leave the UI running until Ctrl-C
      evalops demo --exit   and end
    """
    from datetime import datetime, timedelta, timezone

    from evalops_core.domain.window import window_of
    from evalops_core.errors import ConfigError, EvalOpsError
    from evalops_core.wiring import open_workshop
    from evalops_dagster.cli.console import runs_table
    from evalops_dagster.cli.demo_story import prepare
    from evalops_dagster.cli.stack import running_stack
    from evalops_dagster.cli.waiting import say

    now = datetime.now(timezone.utc)
    ground = prepare(now)
    with running_stack(ground.settings, port, say) as stack, open_workshop(ground.settings) as workshop:
        suites = stack.suites.usable
        if not suites:
            raise ConfigError(f"there is nothing to evaluate: {'; '.join(stack.suites.broken.values())}")
        back = 0 if ground.suites is None else 1  # the story needs a window before the current one
        windows = {
            name: window_of(now - back * timedelta(hours=suite.interval_hours), suite.interval_hours)
            for name, suite in sorted(suites.items())
        }
        failures = _evaluate(stack, workshop, windows, "the window before" if back else "the current window")
        runs_table(_scheduled(workshop, windows))
        for problem in stack.suites.broken.values():
            say(f"not evaluated: {problem}")
        if ground.suites is not None and not failures:
            failures += _regression(stack, workshop, ground.suites, now)
        say(f"The same in the UI, with every case: {stack.url}/asset-groups")
        if failures:
            raise EvalOpsError("; ".join(failures))
        if not leave:
            say("Ctrl-C ends all of it.")
            with contextlib.suppress(KeyboardInterrupt):
                stack.dagster.stay()


def _regression(stack: "Stack", workshop: "Workshop", suites: "Path", now: "datetime") -> list[str]:
    """Make one feature really worse, evaluate it, and show what the sensors make of it; why that failed, if it did."""
    from evalops_core.domain.window import window_of
    from evalops_core.run.links import checks_link, trend_link
    from evalops_dagster.cli.console import runs_table
    from evalops_dagster.cli.demo_story import FEATURE, WHAT, await_verdict, make_worse, write_mail, write_report
    from evalops_dagster.cli.waiting import say

    windows = {FEATURE: window_of(now, stack.suites.usable[FEATURE].interval_hours)}
    if make_worse(suites):
        say(f"\nNow {FEATURE} gets worse, for real: {WHAT} ({suites / FEATURE / 'suite.yaml'}).")
    failures = _evaluate(stack, workshop, windows, "the current window")
    runs_table(_scheduled(workshop, windows))
    if failures:
        return failures
    (run,) = _scheduled(workshop, windows)
    say("waiting for regression_sensor to compare it with the run before …")
    judged = await_verdict(workshop, run.id, stack.dagster.ensure_alive)
    say(f"{FEATURE}: {judged.outcome}: {judged.why}")
    if judged.incident_id is None:
        return [f"{FEATURE} was made worse, and no incident was opened"]
    say(f"incident {judged.incident_id} is firing; the failed check: {checks_link(stack.url, FEATURE)}")
    mail = write_mail(workshop, judged.incident_id, stack.url, workshop.settings.home / "alert.html")
    if mail is None:
        return [f"incident {judged.incident_id} has no mail"]
    say(f"The mail that a team would get (no key is set, so none is sent): {mail}")
    say(f"The trend, with the incident shaded: {trend_link(stack.url, FEATURE)}")
    say(f"Everything on one page, every case searchable: {write_report(workshop, stack.suites)}\n")
    return []


def _evaluate(stack: "Stack", workshop: "Workshop", windows: "Mapping[str, Window]", when: str) -> list[str]:
    """Evaluate what the windows lack, a Dagster run for each interval; the reasons of those that failed."""
    from evalops_dagster.cli.waiting import say

    done = [run.feature for run in _scheduled(workshop, windows) if run.status == "completed"]
    missing = {name: window for name, window in windows.items() if name not in done}
    if done:
        which = "this window" if when == "the current window" else when
        say(f"\nalready evaluated in {which}, so nothing is called again: {', '.join(done)}")
    if not missing:
        return []
    cases = sum(len(stack.suites.usable[name].cases) for name in missing)
    say(f"\nevaluating {', '.join(missing)}: {cases} cases, for {when} …")
    started = time.monotonic()
    failures: list[str] = []
    for hours in sorted({stack.suites.usable[name].interval_hours for name in missing}):
        failures += _run_job(stack, workshop, hours, missing)
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
    run_id = api.launch(job_name(hours), {"dagster/partition": key, RUN_TYPE: "scheduled"}, features=sorted(of_job))
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
