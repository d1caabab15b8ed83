"""`evalops run`: evaluate now, in this process, recorded in Dagster like any other run."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dagster import DagsterEvent

    from evalops_core.domain.eval_run import EvalRun
    from evalops_core.domain.suite import Suite
    from evalops_core.settings import Settings


def register(app: typer.Typer) -> None:
    app.command()(run)


def run(
    feature: Annotated[list[str] | None, typer.Option(help="This feature; repeat it for more. All without it.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The first cases only, to try a suite out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the runs as JSON on stdout.")] = False,
) -> None:
    """Evaluate features for the current window, as manual runs.

    Everything is stored and shows in Dagster, but a run by hand never enters the trend and never counts as a baseline.
    One that was interrupted goes on where it stopped.
    """
    from evalops_core.errors import EvalOpsError
    from evalops_core.settings import load_settings
    from evalops_core.wiring import read_suites, while_needed
    from evalops_dagster.cli.console import known_feature, runs_table

    settings = load_settings()
    suites = read_suites(settings)
    for name in feature or suites.broken:
        known_feature(name, suites)
    chosen = [suites.usable[name] for name in dict.fromkeys(feature or suites.usable)]
    done, problems = [], []
    with while_needed(settings):
        for suite in chosen:
            try:
                done.append(_evaluate(suite, settings, limit, shown=not as_json))
            except EvalOpsError as error:
                problems.append(f"{suite.feature}: {error}")
    if as_json:
        _print_json(done)
    else:
        runs_table(done)
    if problems:
        raise EvalOpsError("; ".join(problems))
    if any(result.status == "invalid" for result in done):
        raise typer.Exit(3)


def _evaluate(suite: "Suite", settings: "Settings", limit: int | None, *, shown: bool) -> "EvalRun":
    """One Dagster run of one feature's chain in this process."""
    import dagster as dg

    from evalops_core.errors import EvalOpsError
    from evalops_core.wiring import installed_since, open_workshop
    from evalops_dagster.cli.console import progress_bar
    from evalops_dagster.cli.instance import instance_folder
    from evalops_dagster.definitions import build_definitions
    from evalops_dagster.jobs import job_name
    from evalops_dagster.tags import LIMIT

    instance_folder()
    with progress_bar(suite.feature, shown=shown) as report, open_workshop(settings, report) as workshop:
        plan = workshop.plan(suite, run_type="manual", limit=limit)
        definitions = build_definitions(
            suites={suite.feature: suite}, since=installed_since(settings), workshop=workshop
        )
        result = definitions.resolve_job_def(job_name(suite.interval_hours)).execute_in_process(
            instance=dg.DagsterInstance.get(),
            partition_key=plan.window.key,
            asset_selection=[
                dg.AssetKey([suite.feature, step]) for step in ("golden_cases", "responses", "judgments", "eval_score")
            ],
            tags={} if limit is None else {LIMIT: str(limit)},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )
        if not result.success:
            failed = [event for event in result.all_events if event.is_step_failure]
            raise EvalOpsError(_reason(failed[0]) if failed else "the Dagster run failed; see the UI")
        stored = workshop.tools.runs.of_dagster_run(suite.feature, plan.window.key, result.run_id)
        if stored is None:
            raise EvalOpsError("the Dagster run ended without an eval run; see the UI")
        return stored


def _reason(event: "DagsterEvent") -> str:
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return data.user_failure_data.description
    return data.error.message.strip() if data.error else "the step failed without saying why"


def _print_json(runs: "list[EvalRun]") -> None:
    import dataclasses

    import orjson

    typer.echo(orjson.dumps([dataclasses.asdict(item) for item in runs], default=str).decode())
