"""`evalops backtest`: the rules of the regression verdict replayed over scores in a file.

What belongs here: the command's options, and where its lines go. What does not: reading scores, verdicts and counts
(run.score_file, run.backtest, run.backtest_summary).
"""

import sys
from collections.abc import Iterable
from contextlib import nullcontext
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from evalops_core.domain.regression.sample import Rules, Sample


def register(app: typer.Typer) -> None:
    app.command(short_help="Replay the rules of the verdict over scores in a file.")(backtest)


def backtest(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="A .parquet, .csv or .jsonl file with series_id, run_index, case_id, repeat, score and, if need be, "
            "cluster_id and judge_fp; without it, the stored history.",
        ),
    ] = None,
    feature: Annotated[
        str | None, typer.Option(metavar="NAME", help="This feature of the stored history only.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(metavar="DATE", help="Of the stored history, windows from this day (UTC) on.")
    ] = None,
    rules: Annotated[
        Literal["auto", "fixed_drop", "paired", "history", "cusum"], typer.Option(help="The rule that judges.")
    ] = "auto",
    stateless: Annotated[
        bool, typer.Option("--stateless", help="Every earlier run is history, those that regressed too.")
    ] = False,
    alpha: Annotated[float, typer.Option(min=0, max=1, help="The p-value from which a fall counts.")] = 0.01,
    min_effect: Annotated[float, typer.Option(min=0, max=4, help="The smallest drop that counts.")] = 0.10,
    drop: Annotated[float, typer.Option(min=0, max=4, help="The drop that always counts.")] = 0.5,
    min_cases: Annotated[int, typer.Option(min=1, help="Fewer common cases say nothing.")] = 10,
    min_overlap: Annotated[float, typer.Option(min=0, max=1, help="A smaller common share says nothing.")] = 0.8,
    min_coverage: Annotated[
        float, typer.Option(min=0, max=1, help="A smaller share of scored cases says nothing.")
    ] = 0.95,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="What is known of the series: series_id, label, kind, change_run."),
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the lines here.")] = None,
) -> None:
    """Judge each run of each series by those before it: a JSON line each, and a summary on stderr.

    Of the stored history a feature is a series, and `run_index` the eval run's id.

    \b
      evalops backtest --feature explain
      evalops backtest scores.parquet
      evalops backtest scores.csv --rules cusum --stateless --labels labels.csv -o verdicts.jsonl
    """
    from evalops_core.domain.regression.sample import Rules
    from evalops_core.errors import ConfigError
    from evalops_core.run.score_file import read_series

    if file is not None and (feature is not None or since is not None):
        raise ConfigError("--feature and --since are of the stored history; leave out the file or them", file=file)
    chosen = Rules(
        rule=rules,
        alpha=alpha,
        min_effect=min_effect,
        drop=drop,
        min_cases=min_cases,
        min_overlap=min_overlap,
        min_coverage=min_coverage,
    )
    if file is not None:
        _replay(read_series(file), chosen, labels, output, stateless=stateless)
    else:
        _replay_stored(feature, since, chosen, labels, output, stateless=stateless)


def _replay_stored(
    feature: str | None,
    since: datetime | None,
    rules: "Rules",
    labels: Path | None,
    output: Path | None,
    *,
    stateless: bool,
) -> None:
    from evalops_core.run.stored_series import stored_features, stored_series
    from evalops_core.settings import load_settings
    from evalops_core.wiring import open_workshop, read_suites, while_needed
    from evalops_dagster.cli.console import known_feature

    settings = load_settings()
    start = None if since is None else since.replace(tzinfo=timezone.utc)
    with while_needed(settings), open_workshop(settings) as workshop:
        if feature is not None and feature not in (known := stored_features(workshop.engine)):
            known_feature(feature, read_suites(settings), known)
        series = stored_series(workshop.engine, feature=feature, since=start)
        _replay(series, rules, labels, output, stateless=stateless)


def _replay(
    series: "Iterable[tuple[str, list[Sample]]]",
    rules: "Rules",
    labels: Path | None,
    output: Path | None,
    *,
    stateless: bool,
) -> None:
    import orjson

    from evalops_core.run.backtest import backtest as replayed
    from evalops_core.run.backtest_summary import Summary, read_labels
    from evalops_dagster.cli.output_file import replacing

    summary = Summary(None if labels is None else read_labels(labels))
    lines = replayed(series, rules, stateless=stateless)
    first = next(lines, None)  # what is wrong with the file is said before the output is touched
    with nullcontext(sys.stdout.buffer) if output is None else replacing(output) as out:
        while first is not None:
            out.write(orjson.dumps(first) + b"\n")
            summary.add(first)
            first = next(lines, None)
    for sentence in summary.lines():
        typer.echo(sentence, err=True)
