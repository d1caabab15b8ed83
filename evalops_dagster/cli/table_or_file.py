"""Rows over time, for people on the terminal or for programs, there or in a file.

What belongs here: choosing the form, the moment from which on, and the way out. What does not: which rows, what a table
or a file of them looks like.
"""

import io
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal, TextIO, TypeVar

import typer

F = TypeVar("F", bound=str)


def moment(since: str | None) -> datetime | None:
    """ConfigError for what is no date, and no date and time."""
    from evalops_core.errors import ConfigError
    from evalops_dagster.cli.moments import any_moment

    try:
        return None if since is None else any_moment(since)
    except ValueError as error:
        raise ConfigError(str(error), key="--since") from None


def form_of(output: F | Literal["table"] | None, file: Path | None, endings: Mapping[str, F]) -> F | None:
    """The form for programs, None for a table: as given, else by the file's ending.

    ConfigError where a file's name does not say it, and for a form of bytes on a terminal.
    """
    from evalops_core.errors import ConfigError

    if output == "table" or (output is None and file is None):
        return None
    if output == "parquet" and file is None and sys.stdout.isatty():
        raise ConfigError("parquet is not for a terminal: name a file with -o", key="--format")
    form = next((known for known in endings.values() if known == output), None)
    if form is None and file is not None:
        form = endings.get(file.suffix.lower())
    if form is None:
        raise ConfigError(f"expected a name that ends in {', '.join(endings)}, or --format", key=f"-o {file}")
    return form


def put_out(
    file: Path | None, counted: str, *, show: Callable[[TextIO], None], content: Callable[[], bytes] | None
) -> None:
    """`content` for programs, else what `show` writes for people; into `file`, of which it is said that `counted` were
    written to it, or to stdout."""
    from evalops_dagster.cli.output_file import write_whole

    if content is None and file is None:
        show(sys.stdout)
        return
    if content is not None:
        written = content()
    else:
        page = io.StringIO()
        show(page)
        written = page.getvalue().encode()
    if file is None:
        typer.echo(written, nl=False)
    else:
        write_whole(file, written)
        typer.echo(f"{counted} written to {file}")
