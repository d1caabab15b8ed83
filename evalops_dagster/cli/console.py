"""What commands print for people: tables of runs, a bar of progress; and for programs, JSON.

What belongs here: looks. What does not: where the values come from.
"""

import dataclasses
import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from decimal import Decimal

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from evalops_core.domain.eval_run import EvalRun
from evalops_core.errors import ConfigError
from evalops_core.run.progress import Progress as Made
from evalops_core.run.progress import Report, sparing
from evalops_core.wiring import Suites

_WINDOW = "window (UTC)"
_FILE_WIDTH = 200  # columns where there is no terminal whose edge would cut anything


def known_feature(feature: str, suites: Suites, others: Iterable[str] = ()) -> None:
    """ConfigError that lists the features there are, `others` included, or says what is wrong with this one's suite."""
    if feature in suites.broken:
        raise ConfigError(suites.broken[feature])
    known = sorted({*suites.usable, *others})
    if feature not in known:
        raise ConfigError(f"there is no feature {feature!r}; there are {', '.join(known) or 'none'}", key="--feature")


def runs_table(runs: Sequence[EvalRun]) -> None:
    """A line an eval run: its score and how far it can be trusted; below, what does not fit a terminal's width."""
    if not runs:
        return
    table = _table(names=("feature", "model"), headings=("feature", _WINDOW, "score 1–5", "cases", "model", "cost"))
    for run in runs:
        table.add_row(
            Text(run.feature),
            run.partition_key,
            "–" if run.score is None else f"[bold]{run.score}[/] ± {run.se or 0:.2f}",
            _cases(run.n, run.n_unscored),
            Text(run.model_id or run.comparability.model),
            "unknown" if run.cost_usd is None else f"${run.cost_usd:.4f}",
        )
    console = _console()
    console.print(table)
    for judge, names in _by_judge(runs).items():
        _line(console, f"{', '.join(names)}: scored by {judge}")
    for run in runs:
        if run.status_reason is not None:
            _line(console, f"{run.feature} is {run.status}: {run.status_reason}")


def print_runs_json(runs: Sequence[EvalRun]) -> None:
    """One JSON list on stdout: an object an eval run, numbers as numbers, times in ISO 8601."""
    import orjson
    import typer

    def plain(value: object) -> object:
        return float(value) if isinstance(value, Decimal) else str(value)

    typer.echo(orjson.dumps([dataclasses.asdict(run) for run in runs], default=plain).decode())


def _by_judge(runs: Sequence[EvalRun]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for run in runs:
        judge = run.judge_model_id or run.comparability.judge
        by = f"the judge {judge}" if judge else "rules and similarity to the reference (no judge is configured)"
        found.setdefault(by, []).append(run.feature)
    return found


@contextmanager
def progress_bar(feature: str) -> Generator[Report, None, None]:
    """A report that draws a bar for each stage on stderr, so that stdout stays the result's; lines if it is a file."""
    if not sys.stderr.isatty():
        yield sparing(lambda line: print(f"{feature}: {line}", file=sys.stderr, flush=True))
        return
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[rate]}"),
        console=Console(stderr=True),
    )
    stages: dict[str, TaskID] = {}

    def report(made: Made) -> None:
        rate = f"{made.rate:.1f}/s" if made.rate else ""
        if made.remaining_s and made.done < made.total:
            rate += f", {made.remaining_s:.0f} s to go"
        if made.failed:
            rate += f", {made.failed} failed"
        name = f"{feature} {made.stage}"
        if name not in stages:
            stages[name] = bars.add_task(name, total=made.total, rate=rate)
        bars.update(stages[name], completed=made.done, rate=rate)

    with bars:
        yield report


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else _FILE_WIDTH)


def _table(*, names: Sequence[str], headings: Sequence[str]) -> Table:
    """On a narrow terminal the columns of `names` go on in the next line; numbers are never cut."""
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in headings:
        if heading in names:
            table.add_column(heading, overflow="fold", min_width=8)
        else:
            table.add_column(heading, no_wrap=True, justify="left" if heading == _WINDOW else "right")
    return table


def _line(console: Console, words: str) -> None:
    console.print(words, markup=False, highlight=False, soft_wrap=not console.is_terminal)


def _cases(n: int | None, unscored: int | None) -> str:
    return f"{n or 0}/{(n or 0) + (unscored or 0)}"
