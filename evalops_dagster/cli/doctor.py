"""`evalops doctor`: what is wrong with this deployment, and how to mend it.

What belongs here: options, printing, the exit code. What does not: looking (wiring, evalops_dagster.background), what
follows from what is seen (run.doctor).
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from evalops_core.run.doctor.finding import Finding


def register(app: typer.Typer) -> None:
    app.command(short_help="Say what is wrong with this deployment, and how to mend it.")(doctor)


def doctor(
    *,
    ask: Annotated[
        bool, typer.Option("--ask", help="Ask each endpoint one question, which is paid, instead of only looking.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 for warnings, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Look at everything that an evaluation needs, and say what is wrong and how to mend it.

    Database, schema, rights, lock, Dagster's storage and daemon, suites, endpoints of models, judge and embeddings,
    mail, disk and clock. Nothing is changed or sent, and nothing is paid without --ask.

    Exits with 0 if nothing failed, with 1 if something did, and with 2 if the settings cannot be read.

    \b
      evalops doctor
      evalops doctor --strict --json
    """
    import json
    import sys
    from functools import partial

    from evalops_core.run.doctor.finding import is_healthy
    from evalops_core.settings import load_settings
    from evalops_core.wiring import examine
    from evalops_dagster.background import look_at_dagster
    from evalops_dagster.cli.plain_table import print_lines, width_of

    settings = load_settings()
    findings = examine(settings, partial(look_at_dagster, settings), ask=ask)
    healthy = is_healthy(findings, strict=strict)
    if as_json:
        checks = [
            {"name": found.name, "status": found.status, "seen": found.seen, "mend": found.mend} for found in findings
        ]
        typer.echo(json.dumps({"healthy": healthy, "checks": checks}, ensure_ascii=False, indent=2))
    else:
        print_lines(_page(findings, width_of(sys.stdout)), sys.stdout)
    if not healthy:
        raise typer.Exit(1)


def _page(findings: "Sequence[Finding]", width: int) -> Iterator[str]:
    """A line a finding and, below it, what to do about it; at the end, how many there are of each status."""
    import textwrap
    from collections import Counter

    statuses = max(len(found.status) for found in findings)
    names = max(len(found.name) for found in findings)
    indent = statuses + names + 4
    for found in findings:
        yield from textwrap.wrap(
            found.seen,
            width,
            initial_indent=f"{found.status:{statuses}}  {found.name:{names}}  ",
            subsequent_indent=" " * indent,
        )
        if found.mend is not None:
            yield from textwrap.wrap(
                f"mend: {found.mend}", width, initial_indent=" " * indent, subsequent_indent=" " * (indent + 6)
            )
    counts = Counter(found.status for found in findings)
    yield ""
    yield ", ".join(
        f"{counts[status]} {words}"
        for status, words in (
            ("failed", "failed"),
            ("warning", "to be warned of"),
            ("ok", "fine"),
            ("skipped", "not looked at"),
        )
        if counts[status]
    )
