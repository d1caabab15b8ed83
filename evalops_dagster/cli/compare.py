"""`evalops compare`: two runs of a feature side by side, for people, programs and pull requests.

What belongs here: the command's options and exit codes. What does not: the comparison (run.compare), how it is printed
(compare_view, compare_markdown).
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from evalops_core.domain.suite import Suite
    from evalops_core.settings import Settings

_REGRESSION, _NOTHING_SAID = 100, 3
_EXIT_CODES = {"regressed": _REGRESSION, "stable": 0, "improved": 0}  # any other outcome says nothing


def register(app: typer.Typer) -> None:
    app.command(short_help="Compare two runs of a feature.")(compare)


def compare(
    run_a: Annotated[
        str,
        typer.Argument(
            metavar="RUN_A", help="The baseline: an eval run's id, `latest`, `baseline`, or a file of scores."
        ),
    ],
    run_b: Annotated[str, typer.Argument(metavar="RUN_B", help="The candidate, named in the same ways.")],
    feature: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose run `latest` or `baseline` is, where no id says so.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="A comment for a pull request.")] = False,
    texts: Annotated[
        bool, typer.Option("--texts", help="Show the texts of the cases that fell most, too; ids alone without it.")
    ] = False,
) -> None:
    """Judge run B beside run A, its baseline, by the rules of the feature's suite.

    `latest` is the feature's newest valid run, scheduled or by hand; `baseline` the pinned one, else the valid
    scheduled run before the other. A file (.csv, .jsonl, .parquet) has case_id, score from 1 to 5 and, if need be,
    repeat and cluster_id.

    Exit codes: 0 no regression, 100 regression, 3 not comparable or too little data, 2 usage.

    \b
      evalops compare 12 15
      evalops compare baseline latest --feature explain
      evalops compare baseline scores.csv --feature explain --markdown
    """
    from pathlib import Path

    from evalops_core.errors import ConfigError
    from evalops_core.run.compare import compare as compared
    from evalops_core.run.compare import reference
    from evalops_core.settings import load_settings
    from evalops_core.wiring import open_workshop, while_needed
    from evalops_dagster.cli.compare_markdown import markdown_of
    from evalops_dagster.cli.compare_view import print_comparison, print_comparison_json

    if as_json and markdown:
        raise ConfigError("expected one of the two: --json or --markdown", key="--markdown")
    before, after = reference(run_a), reference(run_b)
    settings = load_settings()
    stored = not (isinstance(before, Path) and isinstance(after, Path))  # two files need no database
    with (
        while_needed(settings) if stored else nullcontext(),
        open_workshop(settings) if stored else nullcontext() as open_,
    ):
        engine = None if open_ is None else open_.engine
        ran = open_ is not None and feature is not None and bool(open_.tools.runs.recent(feature, 1))
        if feature is not None and not ran:
            _ensure_known(feature, settings)
        found = compared(engine, before, after, feature=feature, suite_of=_suite_of(settings), texts=texts)
    code = _EXIT_CODES.get(found.said.outcome, _NOTHING_SAID)
    if as_json:
        print_comparison_json(found, code)
    elif markdown:
        typer.echo(markdown_of(found))
    else:
        print_comparison(found)
    raise typer.Exit(code)


def _ensure_known(feature: str, settings: "Settings") -> None:
    """ConfigError unless there is a suite of that name."""
    from evalops_core.wiring import read_suites
    from evalops_dagster.cli.console import known_feature

    known_feature(feature, read_suites(settings))


def _suite_of(settings: "Settings") -> "Callable[[str], Suite | None]":
    """A feature's suite; None where it has none any more. ConfigError for one that cannot be read: its rules count."""
    from evalops_core.errors import ConfigError
    from evalops_core.wiring import read_suites

    def suite_of(feature: str) -> "Suite | None":
        suites = read_suites(settings)
        if feature in suites.broken:
            raise ConfigError(suites.broken[feature])
        return suites.usable.get(feature)

    return suite_of
