"""`evalops trend`: the scheduled scores over time.

What belongs here: the command's options and formats. What does not: rows and columns (trend).
"""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from evalops_core.settings import Settings
    from evalops_core.wiring import Workshop


def register(app: typer.Typer) -> None:
    app.command(short_help="Show the scores of scheduled runs over time.")(trend)


def trend(
    feature: Annotated[str | None, typer.Option(metavar="NAME", help="This feature only.")] = None,
    model: Annotated[
        str | None, typer.Option(metavar="ID", help="This model only, as its endpoint names it in the trend.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="How many runs, newest first.")] = 100,
    output: Annotated[Literal["table", "json", "csv"], typer.Option("--format", help="How to print them.")] = "table",
) -> None:
    """Show the scores of scheduled runs, newest first; runs by hand never enter the trend.

    \b
      evalops trend
      evalops trend --feature explain --limit 30
      evalops trend --format csv > trend.csv
    """
    from evalops_core.settings import load_settings
    from evalops_core.trend.frame import trend_frame
    from evalops_core.trend.history import read_trend
    from evalops_core.wiring import open_workshop, while_needed
    from evalops_dagster.cli.console import trend_table

    settings = load_settings()
    with while_needed(settings), open_workshop(settings) as workshop:
        rows = read_trend(workshop.engine, feature=feature, model=model, limit=limit)
        if feature is not None and not rows:
            _ensure_known(feature, settings, workshop)
    if output == "json":
        typer.echo(trend_frame(rows).to_json(orient="records", date_format="iso"))
    elif output == "csv":
        typer.echo(trend_frame(rows).to_csv(index=False), nl=False)
    elif rows:
        trend_table(rows)
    else:
        of = " ".join(words for words in (feature and f"of {feature}", model and f"with {model}") if words)
        typer.echo(
            f"No scheduled run {f'{of} ' if of else ''}has been completed yet; runs by hand do not enter the trend."
        )


def _ensure_known(feature: str, settings: "Settings", workshop: "Workshop") -> None:
    """ConfigError unless there is a suite of that name, or was one once."""
    from evalops_core.trend.history import read_trend
    from evalops_core.wiring import read_suites
    from evalops_dagster.cli.console import known_feature

    past = {row.feature for row in read_trend(workshop.engine, limit=1000)}
    if feature not in past and not read_trend(workshop.engine, feature=feature, limit=1):
        known_feature(feature, read_suites(settings), past)
