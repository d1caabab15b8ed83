"""`evalops drift`: whether what users ask has moved, day by day.

What belongs here: the command's options, and where its output goes. What does not: days and files
(evalops_core.trend), what people see (drift_view).
"""

from datetime import date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TextIO

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from evalops_core.settings import Settings
    from evalops_core.trend.drift_history import DriftDay

Format = Literal["table", "json", "csv"]


def register(app: typer.Typer) -> None:
    app.command(short_help="Show how far each day's inputs are from those before.")(drift)


def drift(
    feature: Annotated[str | None, typer.Option(metavar="NAME", help="This feature only.")] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="How many days of each feature, newest first.")
    ] = 14,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Days that start at or after this date, or date and time.")
    ] = None,
    output: Annotated[
        Format | None,
        typer.Option("--format", help="How to print them; by the ending of FILE where there is one, else a table."),
    ] = None,
    file: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write them here.")] = None,
) -> None:
    """Show how far what users asked on each UTC day is from the days before, and what that came to.

    Drift is a cosine distance, from 0 to 2. The formats for programs have whole rows; what was asked is in none of
    them, the prompts farthest from the days before are named by their traces. A time without an offset is UTC.

    \b
      evalops drift
      evalops drift --feature explain --limit 60
      evalops drift --since 2026-12-01 --format csv > drift.csv
      evalops drift -o drift.json
    """
    from evalops_core.settings import load_settings
    from evalops_core.trend.drift_export import DRIFT_ENDINGS, exported_drift
    from evalops_core.trend.drift_history import read_drift
    from evalops_core.wiring import open_store, while_needed
    from evalops_dagster.cli.output_file import ensure_writable
    from evalops_dagster.cli.table_or_file import form_of, moment, put_out

    start, form = moment(since), form_of(output, file, DRIFT_ENDINGS)
    if file is not None:
        ensure_writable(file)
    settings = load_settings()
    with while_needed(settings):
        engine = open_store(settings)
        try:
            days = read_drift(engine, feature=feature, limit=limit, since=start and _first_day(start))
            if feature is not None and not days:
                _ensure_known(feature, settings, engine)
        finally:
            engine.dispose()
    put_out(
        file,
        f"{len(days)} day{'' if len(days) == 1 else 's'}",
        show=lambda page: _show(days, _nothing(feature, start), page),
        content=None if form is None else partial(exported_drift, days, form),
    )


def _first_day(start: datetime) -> date:
    """The first UTC day that starts at or after `start`, which is in UTC."""
    began_before = start.time() > time() and start.date() < date.max
    return start.date() + timedelta(days=int(began_before))


def _show(days: "Sequence[DriftDay]", nothing: str, page: TextIO) -> None:
    from evalops_dagster.cli.drift_view import print_drift

    if days:
        print_drift(days, page)
    else:
        print(nothing, file=page)


def _nothing(feature: str | None, since: datetime | None) -> str:
    from evalops_dagster.cli.moments import spelt

    parts = (feature and f"of {feature}", since and f"since {spelt(since)}")
    inputs = " ".join(["No day's inputs", *(words for words in parts if words)])
    return (
        f"{inputs} have been looked at yet; drift_schedule is off by default, and "
        "`evalops traces list` shows what has come in."
    )


def _ensure_known(feature: str, settings: "Settings", engine: "Engine") -> None:
    """ConfigError unless there is a suite of that name, or was one once."""
    from evalops_core.run.feature_desk import past_features
    from evalops_core.trend.drift_history import drift_features
    from evalops_core.wiring import read_suites
    from evalops_dagster.cli.console import known_feature

    past = {*past_features(engine), *drift_features(engine)}
    if feature not in past:
        known_feature(feature, read_suites(settings), past)
