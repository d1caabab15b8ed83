"""`evalops run`: evaluate now, in this process, recorded in Dagster like any other run.

What belongs here: one Dagster run a feature, and how the command ends. What does not: the evaluation (run).
"""

import contextlib
import sys
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dagster import DagsterEvent, DagsterInstance, ExecuteInProcessResult

    from evalops_core.domain.suite import Suite
    from evalops_core.settings import Settings
    from evalops_dagster.cli.run_result import RunResult


@dataclass
class _Outcome:
    """What became of the features so far; a problem keeps its feature's name."""

    runs: "list[RunResult]" = field(default_factory=list["RunResult"])
    problems: list[tuple[str, Exception]] = field(default_factory=list[tuple[str, Exception]])
    interrupted: bool = False


def register(app: typer.Typer) -> None:
    app.command(short_help="Evaluate features now, as manual runs.")(run)


def run(
    feature: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="This feature; repeat it for more. All without it.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="The first N cases only, to try a suite out.")
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Ask the judge even what it was asked before.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the runs as JSON on stdout.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show calls, tokens and cost; call nothing.")] = False,
) -> None:
    """Evaluate features now, for the current window, as manual runs.

    Everything is stored and shows in Dagster, but a run by hand never enters the trend and never counts as a baseline.
    One that was interrupted goes on where it stopped. What an earlier run has asked the judge in the very same words is
    not asked again. Progress is on stderr, the result on stdout.

    \b
      evalops run                              every feature
      evalops run --feature explain --limit 5  five cases of one, to try it out
      evalops run --no-cache                   judge every answer anew
      evalops run --json | jq '.[].score'

    Exit codes: 0 fine, 2 usage or configuration, 3 a run is invalid (too few cases have a score) or partial (a hard
    cap), 130 interrupted, 1 anything else. What could be evaluated is printed whatever else went wrong.
    """
    from evalops_core.errors import ConfigError
    from evalops_core.settings import load_settings
    from evalops_core.wiring import read_suites
    from evalops_dagster.cli.console import known_feature, print_runs_json, runs_table
    from evalops_dagster.cli.plan_cost import cost_plans, print_costs
    from evalops_dagster.tags import LIMIT, NO_CACHE

    settings = load_settings()
    suites = read_suites(settings)
    for name in feature or ():
        known_feature(name, suites)
    chosen = [suites.usable[name] for name in dict.fromkeys(feature or suites.usable)]
    if dry_run:
        cached = settings.judge_cache and not no_cache
        print_costs(cost_plans(chosen, settings, limit), as_json=as_json, cached=cached)
        return
    outcome = _Outcome(problems=[] if feature else [(name, ConfigError(why)) for name, why in suites.broken.items()])
    tags = ({} if limit is None else {LIMIT: str(limit)}) | ({NO_CACHE: "true"} if no_cache else {})
    _evaluate_all(chosen, settings, tags, outcome)
    if as_json:
        print_runs_json(outcome.runs)
    else:
        runs_table(outcome.runs)
        for result in outcome.runs:
            if result.judgments_from_cache:
                typer.echo(f"{result.feature}: {result.judgments_from_cache} judgments from the cache, without a call")
    _end(outcome)


def _evaluate_all(chosen: "list[Suite]", settings: "Settings", tags: dict[str, str], outcome: _Outcome) -> None:
    """Feature by feature; what is wrong with one does not keep the others from being evaluated."""
    from evalops_core.wiring import while_needed
    from evalops_dagster.cli.instance import open_instance
    from evalops_dagster.cli.mishaps import brief_warnings
    from evalops_dagster.cli.waiting import interruptible

    if not chosen:
        return
    try:
        # stdout is the result's: what a scorer of the user's prints goes where progress goes
        to_stderr = contextlib.redirect_stdout(sys.stderr)
        with interruptible(), to_stderr, brief_warnings(), while_needed(settings), open_instance() as instance:
            for suite in chosen:
                with _noted(suite.feature, outcome):
                    outcome.runs.append(_evaluate(suite, settings, instance, tags))
    except KeyboardInterrupt:
        outcome.interrupted = True


@contextlib.contextmanager
def _noted(feature: str, outcome: _Outcome) -> Generator[None, None, None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - it is reported at the end, after what other features gave
        outcome.problems.append((feature, error))


def _evaluate(suite: "Suite", settings: "Settings", instance: "DagsterInstance", tags: dict[str, str]) -> "RunResult":
    """One Dagster run of one feature's chain in this process. KeyboardInterrupt if it was interrupted."""
    import dagster as dg

    from evalops_core.errors import EvalOpsError
    from evalops_core.wiring import installed_since, open_workshop
    from evalops_dagster.cli.console import progress_bar
    from evalops_dagster.cli.run_result import result_of
    from evalops_dagster.definitions import build_definitions
    from evalops_dagster.jobs import job_name
    from evalops_dagster.tags import BY_COMMAND

    with progress_bar(suite.feature) as report, open_workshop(settings, report) as workshop:
        plan = workshop.plan(suite, run_type="manual")
        definitions = build_definitions(
            suites={suite.feature: suite},
            since=installed_since(settings),
            workshop=workshop,
            gate_scope=settings.gate_scope,
        )
        result = definitions.resolve_job_def(job_name(suite.interval_hours)).execute_in_process(
            instance=instance,
            partition_key=plan.window.key,
            asset_selection=[
                dg.AssetKey([suite.feature, step]) for step in ("golden_cases", "responses", "judgments", "eval_score")
            ],
            tags={BY_COMMAND: "run", **tags},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )
        _ensure_success(result)
        stored = workshop.tools.runs.of_dagster_run(suite.feature, plan.window.key, result.run_id)
        if stored is None:
            raise EvalOpsError("the Dagster run ended without an eval run; see the UI")
        return result_of(stored, workshop.judgments_from_cache(stored.id))


def _ensure_success(result: "ExecuteInProcessResult") -> None:
    from dagster._core.events import RunFailureReason

    from evalops_core.errors import EvalOpsError

    if result.success:
        return
    for event in result.all_events:
        if event.is_job_failure and event.job_failure_data.failure_reason is RunFailureReason.UNEXPECTED_TERMINATION:
            raise KeyboardInterrupt
    failed = [event for event in result.all_events if event.is_step_failure]
    raise _problem(failed[0]) if failed else EvalOpsError("the Dagster run failed; see the UI")


def _problem(event: "DagsterEvent") -> Exception:
    """The step's own reason, of the kind that it was."""
    from evalops_core.errors import ConfigError, EvalOpsError

    data = event.step_failure_data
    cause = data.error.cause if data.error else None
    if data.user_failure_data is not None and data.user_failure_data.description:
        kind = ConfigError if cause is not None and cause.cls_name == ConfigError.__name__ else EvalOpsError
        return kind(data.user_failure_data.description)
    said = cause or data.error
    return EvalOpsError(said.message.strip().splitlines()[0] if said else "the step failed without saying why")


def _end(outcome: _Outcome) -> None:
    """Say what went wrong, and exit with what stands for it."""
    from evalops_dagster.cli.mishaps import exit_code, in_a_sentence
    from evalops_dagster.cli.waiting import INTERRUPTED

    for name, problem in outcome.problems:
        typer.echo(f"error: {name}: {in_a_sentence(problem)}", err=True)
    if outcome.interrupted:
        typer.echo("interrupted: what was finished is stored, and the same command goes on from there", err=True)
        raise typer.Exit(INTERRUPTED)
    codes = {exit_code(problem) for _, problem in outcome.problems}
    codes |= {3 for result in outcome.runs if result.status in ("invalid", "partial")}
    if codes:
        raise typer.Exit(min(codes))
