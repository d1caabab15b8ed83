"""`evalops trend`: the scheduled scores over time."""

from typing import Annotated, Literal

import typer


def register(app: typer.Typer) -> None:
    app.command()(trend)


def trend(
    feature: Annotated[str | None, typer.Option(help="This feature only.")] = None,
    model: Annotated[str | None, typer.Option(help="This model only, by its resolved id.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many runs, newest first.")] = 100,
    output: Annotated[Literal["table", "json", "csv"], typer.Option("--format", help="How to print them.")] = "table",
) -> None:
    """Show the scores of scheduled runs, newest first; runs by hand never enter the trend."""
    from evalops_core.settings import load_settings
    from evalops_core.trend.frame import trend_frame
    from evalops_core.trend.history import read_trend
    from evalops_core.wiring import open_workshop, read_suites, while_needed
    from evalops_dagster.cli.console import known_feature, trend_table

    settings = load_settings()
    with while_needed(settings), open_workshop(settings) as workshop:
        rows = read_trend(workshop.engine, feature=feature, model=model, limit=limit)
    if feature is not None and not rows:
        known_feature(feature, read_suites(settings))
    if output == "table":
        trend_table(rows)
    elif output == "json":
        typer.echo(trend_frame(rows).to_json(orient="records", date_format="iso"))
    else:
        typer.echo(trend_frame(rows).to_csv(index=False), nl=False)
