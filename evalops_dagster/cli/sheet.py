"""What incidents and messages share when they are printed: tables, facts below each other, JSON.

What belongs here: looks. What does not: which facts, and their words (incident_view, alert_view).
"""

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from evalops_core.mail.untrusted import one_line

_FILE_WIDTH = 200  # columns where there is no terminal whose edge would cut anything
_LONGEST = 300


def print_table(headings: Mapping[str, bool], rows: Sequence[Sequence[str]]) -> None:
    """`headings` maps each to whether its cells may go on in the next line where the terminal is narrow."""
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for heading, folds in headings.items():
        table.add_column(heading, overflow="fold", no_wrap=not folds, min_width=8 if folds else None)
    for row in rows:
        table.add_row(*(Text(shown(cell)) for cell in row))  # Text, for `[` is no markup here
    Console(width=None if sys.stdout.isatty() else _FILE_WIDTH).print(table)


def print_facts(facts: Sequence[tuple[str, str | None]]) -> None:
    """A line each; those that are None are left out, and the values stand below each other."""
    kept = [(name, value) for name, value in facts if value is not None]
    width = max((len(name) for name, _ in kept), default=0)
    for name, value in kept:
        typer.echo(f"{name:{width}}  {shown(value)}".rstrip())


def shown(text: str, limit: int = _LONGEST) -> str:
    """Fit for a terminal: one line, no control characters, at most `limit` characters."""
    return one_line(text, limit)


def print_json(value: Any) -> None:
    """One document: numbers as numbers, times in ISO 8601."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=_plain))


def _plain(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, datetime) else str(value)
