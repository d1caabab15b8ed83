"""What commands print for people: tables of runs, a bar of progress.

What belongs here: looks. What does not: where the values come from.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from evalops_core.domain.eval_run import EvalRun
from evalops_core.errors import ConfigError
from evalops_core.run.progress import Progress as Made
from evalops_core.run.progress import Report
from evalops_core.trend.history import TrendRow
from evalops_core.wiring import Suites


def known_feature(feature: str, suites: Suites) -> None:
    """ConfigError that lists the features there are, or says what is wrong with this one's suite."""
    if feature in suites.broken:
        raise ConfigError(suites.broken[feature])
    if feature not in suites.usable:
        raise ConfigError(
            f"there is no feature {feature!r}; there are {', '.join(sorted(suites.usable)) or 'none'}", key="--feature"
        )


def runs_table(runs: Sequence[EvalRun]) -> None:
    """A line an eval run: its score and how far it can be trusted; below, what does not fit a terminal's width."""
    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column("feature", style="bold", no_wrap=True)
    table.add_column("window (UTC)", no_wrap=True)
    table.add_column("score 1–5", justify="right", no_wrap=True)
    table.add_column("cases", justify="right", no_wrap=True)
    table.add_column("model", no_wrap=True, overflow="ellipsis")
    table.add_column("cost", justify="right", no_wrap=True)
    for run in runs:
        table.add_row(
            run.feature,
            run.partition_key,
            "–" if run.score is None else f"[bold]{run.score}[/] ± {run.se or 0:.2f}",
            f"{run.n}/{(run.n or 0) + (run.n_unscored or 0)}",
            run.model_id or run.comparability.model,
            "unknown" if run.cost_usd is None else f"${run.cost_usd:.4f}",
        )
    console = Console()
    console.print(table)
    for judge, names in _by_judge(runs).items():
        console.print(f"{', '.join(names)}: scored by {judge}", markup=False, highlight=False)
    for run in runs:
        if run.status_reason is not None:
            console.print(f"{run.feature} is {run.status}: {run.status_reason}", markup=False, highlight=False)


def _by_judge(runs: Sequence[EvalRun]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for run in runs:
        judge = run.judge_model_id or run.comparability.judge
        by = f"the judge {judge}" if judge else "rules and similarity to the reference (no judge is configured)"
        found.setdefault(by, []).append(run.feature)
    return found


def trend_table(rows: Sequence[TrendRow]) -> None:
    """A line a scheduled run, newest first."""
    if not rows:
        Console().print("No scheduled run has been completed yet; runs by hand do not enter the trend.")
        return
    table = Table(box=SIMPLE, pad_edge=False)
    for name in ("feature", "window (UTC)"):
        table.add_column(name, no_wrap=True)
    for name in ("score 1–5", "delta", "95 % interval", "cases"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("model", no_wrap=True, overflow="ellipsis")
    for row in rows:
        interval = "–" if row.ci_low is None or row.ci_high is None else f"{row.ci_low:.2f} … {row.ci_high:.2f}"
        table.add_row(
            row.feature,
            row.partition_key,
            "–" if row.score is None else str(row.score),
            "–" if row.delta is None else f"{row.delta:+.3f}",
            interval,
            f"{row.n}/{(row.n or 0) + (row.n_unscored or 0)}",
            row.model_id or "–",
        )
    Console().print(table)


@contextmanager
def progress_bar(feature: str, *, shown: bool) -> Generator[Report, None, None]:
    """A report that draws a bar for each stage on stderr, so that stdout stays the result's."""
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[rate]}"),
        console=Console(stderr=True),
        disable=not shown,
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
