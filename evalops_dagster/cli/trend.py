"""`evalops trend`: the scheduled scores over time.

What belongs here: the command's options, and where its output goes. What does not: rows and files (evalops_core.trend),
what people see (trend_view).
"""

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TextIO

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from evalops_core.settings import Settings
    from evalops_core.trend.history import TrendRow

Format = Literal["table", "json", "csv", "parquet"]


def register(app: typer.Typer) -> None:
    app.command(short_help="Show the scores of scheduled runs over time.")(trend)


def trend(
    feature: Annotated[str | None, typer.Option(metavar="NAME", help="This feature only.")] = None,
    model: Annotated[
        str | None, typer.Option(metavar="ID", help="This model only, as its endpoint names it in the trend.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="How many runs, newest first.")] = 100,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Windows that start at or after this date, or date and time.")
    ] = None,
    output: Annotated[
        Format | None,
        typer.Option("--format", help="How to print them; by the ending of FILE where there is one, else a table."),
    ] = None,
    file: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write them here.")] = None,
) -> None:
    """Show the scores of scheduled runs, newest first; runs by hand never enter the trend.

    The formats for programs have the columns of the view `evalops.eval_trend`. A time without an offset is UTC.

    \b
      evalops trend
      evalops trend --feature explain --limit 30
      evalops trend --since 2026-12-01 --format csv > trend.csv
      evalops trend -o trend.parquet
    """
    from evalops_core.settings import load_settings
    from evalops_core.trend.export import ENDINGS, exported
    from evalops_core.trend.history import read_trend
    from evalops_core.wiring import open_store, while_needed
    from evalops_dagster.cli.output_file import ensure_writable
    from evalops_dagster.cli.table_or_file import form_of, moment, put_out

    start, form = moment(since), form_of(output, file, ENDINGS)
    if file is not None:
        ensure_writable(file)
    settings = load_settings()
    with while_needed(settings):
        engine = open_store(settings)
        try:
            rows = read_trend(engine, feature=feature, model=model, limit=limit, since=start)
            if feature is not None and not rows:
                _ensure_known(feature, settings, engine)
        finally:
            engine.dispose()
    put_out(
        file,
        f"{len(rows)} run{'' if len(rows) == 1 else 's'}",
        show=lambda page: _show(rows, _nothing(feature, model, start), page),
        content=None if form is None else partial(exported, rows, form),
    )


def _show(rows: "Sequence[TrendRow]", nothing: str, page: TextIO) -> None:
    from evalops_dagster.cli.trend_view import print_trend

    if rows:
        print_trend(rows, page)
    else:
        print(nothing, file=page)


def _nothing(feature: str | None, model: str | None, since: datetime | None) -> str:
    from evalops_dagster.cli.moments import spelt

    parts = (feature and f"of {feature}", model and f"with {model}", since and f"since {spelt(since)}")
    run = " ".join(["run", *(words for words in parts if words)])
    return f"No scheduled {run} has been completed yet; runs by hand do not enter the trend."


def _ensure_known(feature: str, settings: "Settings", engine: "Engine") -> None:
    """ConfigError unless there is a suite of that name, or was one once."""
    from evalops_core.run.feature_desk import known_features
    from evalops_core.wiring import read_suites
    from evalops_dagster.cli.console import known_feature

    past = known_features(engine)
    if feature not in past:
        known_feature(feature, read_suites(settings), past)
