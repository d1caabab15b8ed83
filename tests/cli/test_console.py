import json
import re
from collections.abc import Generator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from decimal import Decimal
from io import StringIO

import pytest
from sqlalchemy import Engine

from evalops_core.run.progress import Progress
from evalops_core.store.runs import EvalRuns
from evalops_dagster.cli.console import print_runs_json, progress_bar, runs_table
from tests.store.rows import finished, started


class Terminal(StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        """Without colours and cursor movements."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.getvalue()).splitlines()


@contextmanager
def eighty_columns() -> Generator[Terminal, None, None]:
    """What is written meanwhile, as a terminal of that width gets it."""
    shown = Terminal()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(shown), redirect_stderr(shown):
        patch.setenv("COLUMNS", "80")
        patch.setenv("TERM", "xterm")
        patch.delenv("NO_COLOR", raising=False)
        yield shown


@pytest.fixture
def runs(engine: Engine) -> EvalRuns:
    return EvalRuns(engine)


def test_a_table_fits_80_columns_and_keeps_its_numbers_whatever_the_names(runs: EvalRuns) -> None:
    model = "openrouter/meta-llama/llama-3.3-70b-instruct-2025-01-01"
    done = [
        runs.finish(started(runs, feature).id, finished(score="4.236", model=model))
        for feature in ("explain", "summarise_incoming_support_tickets_daily")
    ]
    with eighty_columns() as terminal:
        runs_table(done)
    lines = terminal.lines()
    assert max(map(len, lines)) <= 80
    rows = [line for line in lines if "2025-03-01" in line]
    assert len(rows) == 2
    assert all("4.236" in line and "39/40" in line for line in rows)
    assert all(" open" in line for line in rows), "a model cannot be told from another"
    assert all("summ" in line or "explain" in line for line in rows)


def test_names_from_files_are_no_markup_and_a_missing_score_is_no_zero(runs: EvalRuns) -> None:
    run = runs.finish(started(runs).id, finished("invalid", score=None, model="[red]m[/red]"))
    with eighty_columns() as terminal:
        runs_table([run])
    (row,) = [line for line in terminal.lines() if "explain  " in line]
    assert row.split()[2:5] == ["–", "39/40", "[red]m[/red]"]


def test_of_no_run_no_table_is_drawn() -> None:
    with eighty_columns() as terminal:
        runs_table([])
    assert terminal.getvalue() == ""


def test_runs_as_json_are_numbers_and_times(runs: EvalRuns, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.finish(started(runs).id, finished())
    print_runs_json([run])
    (shown,) = json.loads(capsys.readouterr().out)
    assert (shown["score"], shown["cost_usd"], shown["window_start"]) == (
        4.2,
        float(Decimal("0.000123456789")),
        "2025-03-01T00:00:00+00:00",
    )


def test_progress_is_a_bar_on_a_terminal_and_lines_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    made = [Progress("responses", done, 4, 0, 1, 2.0) for done in range(5)]
    with eighty_columns() as terminal, progress_bar("orders") as report:
        for progress in made:
            report(progress)
    assert any("━" in line and "4/4" in line and "1 failed" in line for line in terminal.lines())
    assert max(map(len, terminal.lines())) <= 80

    with progress_bar("orders") as report:
        for progress in made:
            report(progress)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[0] == "orders: responses: 0 of 4, 1 failed"
    assert said.err.splitlines()[-1].startswith("orders: responses: 4 of 4")
    assert "\x1b" not in said.err
