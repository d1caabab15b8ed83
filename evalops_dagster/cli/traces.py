"""`evalops traces`: calls of production that are kept: read in, listed, deleted when they are old.

What belongs here: the commands, their options and what they print. What does not: shapes of records
(evalops_core.traces), what is kept of them (run.trace_import), what is too old (run.trace_desk).
"""

import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from evalops_core.run.trace_import import Imported
    from evalops_core.settings import Settings

app = typer.Typer(help="Traces of production: import, list, and purge old ones.", no_args_is_help=True)


@app.callback()
def traces() -> None:
    """The calls that production made of its models, as far as they are kept."""


@app.command("import", short_help="Store the calls that a file tells of.")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON, one object a line; - for standard input.")],
    feature: Annotated[
        str | None, typer.Option(metavar="NAME", help="The feature of the calls that name none themselves.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Store nothing if any line cannot be used.")] = False,
) -> None:
    """Store the calls of models that FILE tells of, one JSON object a line.

    Understood are rows of the table, requests in OpenAI's form, and OpenTelemetry's gen_ai spans; docs/traces.md shows
    them. A line that cannot be used is skipped and named. What is stored already stays as it is.

    \b
      evalops traces import calls.jsonl
      evalops traces import spans.jsonl --feature explain
      zcat calls.jsonl.gz | evalops traces import - --strict
    """
    from datetime import datetime, timezone

    from evalops_core.run.redaction import load_redaction
    from evalops_core.run.trace_import import import_traces
    from evalops_core.settings import load_settings
    from evalops_core.suites.file_model import NAME, NAME_RULE
    from evalops_core.suites.loader import find_suites
    from evalops_core.traces.lines import bounded_lines

    if feature is not None and not NAME.fullmatch(feature):
        from evalops_core.errors import ConfigError

        raise ConfigError(f"a feature is named by {NAME_RULE}; {feature[:80]!r} is not", key="--feature")
    settings = load_settings()
    suites, redact = find_suites(settings.suites), load_redaction(settings.trace_redaction)
    with _opened(file) as stream, _store(settings) as engine:
        lines = bounded_lines(stream)
        now = datetime.now(timezone.utc)
        imported = import_traces(engine, lines, feature=feature, redact=redact, strict=strict, now=now, file=file)
    _report(imported, file, suites)
    if imported.bad and not imported.usable:
        raise typer.Exit(2)


@app.command(short_help="Delete old traces.")
def purge(
    older_than: Annotated[
        int | None,
        typer.Option(min=1, metavar="DAYS", help="Instead of EVALOPS_TRACE_RETENTION_DAYS.", show_default=False),
    ] = None,
) -> None:
    """Delete the traces that are older than so many days, and the embeddings kept of the days before.

    \b
      evalops traces purge
      evalops traces purge --older-than 30
    """
    from datetime import datetime, timezone

    from evalops_core.run.trace_desk import purge_traces
    from evalops_core.settings import load_settings

    settings = load_settings()
    days = older_than or settings.trace_retention_days
    with _store(settings) as engine:
        purged = purge_traces(engine, days, datetime.now(timezone.utc))
    also = f", and {_amount(purged.embeddings, 'embedding')} of days before" if purged.embeddings else ""
    typer.echo(f"{_amount(purged.traces, 'trace')} older than {_amount(days or 0, 'day')} deleted{also}")


@app.command("list", short_help="List the features that have traces.")
def list_(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """List the features that have traces: how many, when the first and the last call was made.

    Calls that failed are kept, but not counted here.

    \b
      evalops traces list
      evalops traces list --json
    """
    from evalops_core.run.trace_desk import traced_features
    from evalops_core.settings import load_settings
    from evalops_dagster.cli.moments import spelt
    from evalops_dagster.cli.sheet import print_json, print_table

    with _store(load_settings()) as engine:
        found = traced_features(engine)
    if as_json:
        print_json(found)
    elif not found:
        typer.echo("No trace is stored; evalops traces import FILE stores some.")
    else:
        headings = {"feature": True, "traces": False, "first call": False, "last call": False}
        print_table(headings, [(row.feature, f"{row.traces:,}", spelt(row.first), spelt(row.last)) for row in found])


def _report(imported: "Imported", file: Path, suites: Iterable[str]) -> None:
    from evalops_dagster.cli.sheet import shown

    for problem in imported.problems:
        typer.echo(f"{file}:{problem.line}: {shown(problem.reason)}", err=True)
    unnamed = imported.bad - len(imported.problems)
    if unnamed:
        typer.echo(f"{file}: {_amount(unnamed, 'line')} more with problems", err=True)
    said = [f"{_amount(imported.new, 'trace')} imported"]
    if imported.known:
        said.append(f"{imported.known:,} known already")
    if imported.bad:
        said.append(f"{_amount(imported.bad, 'line')} skipped" + (", some in part" if imported.partly else ""))
    if imported.silent:
        said.append(f"{_amount(imported.silent, 'line')} without a call of a model")
    typer.echo(", ".join(said))
    for name in sorted(imported.features.keys() - set(suites)):
        typer.echo(f"{name} has no suite; its traces are kept, and nothing is made of them before it has one.")


def _amount(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


@contextmanager
def _opened(file: Path) -> Generator[BinaryIO, None, None]:
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    from evalops_core.errors import ConfigError

    try:
        stream = file.open("rb")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", file=file) from None
    with stream:
        yield stream


@contextmanager
def _store(settings: "Settings") -> "Generator[Engine, None, None]":
    from evalops_core.wiring import open_store, while_needed

    with while_needed(settings):
        engine = open_store(settings)
        try:
            yield engine
        finally:
            engine.dispose()
