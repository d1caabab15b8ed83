"""`evalops report`: everything about all features as one HTML file.

What belongs here: the command's options and the file. What does not: what the report shows (trend.report).
"""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command(short_help="Write everything about all features into one HTML file.")(report)


def report(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write; one that is there is replaced.")
    ] = Path("report.html"),
    features: Annotated[
        list[str] | None, typer.Option("--feature", metavar="NAME", help="This feature only; may be repeated.")
    ] = None,
    pair: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--compare",
            metavar="A B",
            help="Two runs to show first, as `evalops compare` takes them; the baseline comes first.",
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="The most runs, or days, of a picture.")
    ] = 60,
) -> None:
    """Write one HTML file with the trends, the last run and all of its cases, for every feature.

    The file loads nothing and sends nothing: it can be mailed, or kept beside a build. It holds the texts of the
    cases, of their answers and of the judge.

    \b
      evalops report
      evalops report -o explain.html --feature explain --limit 30
      evalops report --compare 12 15
    """
    from datetime import datetime, timezone

    from evalops_core.run.compare import reference
    from evalops_core.settings import load_settings
    from evalops_core.trend.report import Sources, collect, known_features, page
    from evalops_core.wiring import open_workshop, read_suites, while_needed
    from evalops_dagster.cli.console import known_feature
    from evalops_dagster.cli.output_file import ensure_writable, write_whole

    ensure_writable(output)
    runs = None if pair is None else (reference(pair[0]), reference(pair[1]))
    settings = load_settings()
    with while_needed(settings), open_workshop(settings) as workshop:
        suites = read_suites(settings)
        sources = Sources(workshop.engine, suites.usable, suites.broken)
        known = known_features(sources)
        for feature in features or ():
            if feature not in known:
                known_feature(feature, suites, known)
        now = datetime.now(timezone.utc)
        facts = collect(sources, features=features or known, limit=limit, now=now, pair=runs)
    html = page(facts).encode("utf-8", "replace")
    write_whole(output, html)
    count = len(facts.features)
    size = f"{len(html) / 1e6:.1f} MB" if len(html) >= 1e6 else f"{len(html) / 1e3:.0f} KB"
    typer.echo(f"wrote {output}: {count} feature{'' if count == 1 else 's'}, {size}")
