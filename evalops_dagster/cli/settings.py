"""`evalops settings`: every EVALOPS_… variable, what it means and what it is now.

What belongs here: showing them. What does not: reading them (settings).
"""

from typing import TYPE_CHECKING, Annotated, cast

import typer

if TYPE_CHECKING:
    from evalops_core.settings import Settings


def register(app: typer.Typer) -> None:
    app.command()(settings)


def settings(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page of the documentation instead.")] = False,
) -> None:
    """Show every setting: its variable, its value in this shell (secrets hidden) and its meaning.

    Example: EVALOPS_MAX_CONCURRENCY=32 evalops settings
    """
    from evalops_core.settings import load_settings

    if markdown:
        typer.echo(settings_page(), nl=False)
    else:
        _print_table(load_settings())


def settings_page() -> str:
    """The documentation's page, so that it cannot drift from the code."""
    from evalops_core.settings import Settings

    lines = [
        "# Settings",
        "",
        "Environment variables, read once and in one place (`evalops_core/settings.py`); an empty one counts as unset.",
        "`evalops settings` shows them as they are in your shell. This page is `evalops settings --markdown`.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        default = None if default == () else default
        shown = "–" if default is None else "the shipped ones" if name == "suites" else f"`{default}`"
        lines.append(f"| `EVALOPS_{name.upper()}` | {shown} | {field.description} |")
    lines.append("| `OPENAI_API_KEY` | – | Key for api.openai.com, sent to nobody else. |")
    lines.append("| `RESEND_API_KEY` | – | Key for mails, sent to `EVALOPS_RESEND_BASE_URL` alone. |")
    return "\n".join(lines) + "\n"


def _print_table(settings: "Settings") -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE, pad_edge=False)
    for column in ("variable", "value", "meaning"):
        table.add_column(column, overflow="fold")
    for name, field in type(settings).model_fields.items():
        value: object = getattr(settings, name)
        paths = cast("tuple[object, ...]", value) if isinstance(value, tuple) else ()
        shown = ":".join(str(path) for path in paths) or ("–" if value is None else str(value))
        table.add_row(f"EVALOPS_{name.upper()}", Text(shown), field.description)
    Console().print(table)
