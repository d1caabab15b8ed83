"""`evalops plan-cost`: what a run of each feature would call and cost, before anything is paid.

What belongs here: asking and printing. What does not: the estimate (run.cost).
"""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from evalops_core.domain.suite import Suite
    from evalops_core.run.cost import CostPlan
    from evalops_core.settings import Settings


def register(app: typer.Typer) -> None:
    app.command(name="plan-cost", short_help="Show what a run of each feature would call and cost.")(plan_cost)


def plan_cost(
    feature: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="This feature; repeat it for more. All without it.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="For the first N cases only.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show the calls, tokens and cost that a run of each feature is expected to take; nothing is called.

    Tokens are the averages of earlier runs where there are any, else a guess that says so. Retries come on top.

    \b
      evalops plan-cost
      EVALOPS_JUDGE_MODEL=gpt-4.1 evalops plan-cost --feature explain
    """
    from evalops_core.settings import load_settings
    from evalops_core.wiring import read_suites
    from evalops_dagster.cli.console import known_feature

    settings = load_settings()
    suites = read_suites(settings)
    for name in feature or ():
        known_feature(name, suites)
    chosen = [suites.usable[name] for name in dict.fromkeys(feature or suites.usable)]
    print_costs(cost_plans(chosen, settings, limit), as_json=as_json, cached=settings.judge_cache)


def cost_plans(chosen: "list[Suite]", settings: "Settings", limit: int | None) -> "list[CostPlan]":
    """The expectation for each suite's manual run in the current window, one that would go on included."""
    from evalops_core.run.cost import plan_cost as expect
    from evalops_core.wiring import open_workshop, while_needed

    with while_needed(settings), open_workshop(settings) as workshop:
        return [expect(workshop.plan(suite, run_type="manual", limit=limit), workshop.tools) for suite in chosen]


def print_costs(plans: "list[CostPlan]", *, as_json: bool, cached: bool) -> None:
    """`cached`: judgments may be taken from earlier runs, which only the answers will tell."""
    if as_json:
        import dataclasses

        import orjson

        shown = [
            {**dataclasses.asdict(plan), "calls": plan.calls, "cost_usd": plan.cost_usd, "unpriced": plan.unpriced}
            for plan in plans
        ]
        typer.echo(orjson.dumps(shown, default=str).decode())
        return
    typer.echo("\n\n".join(str(plan) for plan in plans))
    if cached and any(part.what == "judgments" and part.calls for plan in plans for part in plan.parts):
        typer.echo(
            "Judging costs less where the judge was asked the very same before: such judgments are not paid again."
        )
