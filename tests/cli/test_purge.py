"""`evalops purge`: says first what would go, and takes it only when it is told to."""

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from evalops_core.domain.trace import Trace
from evalops_core.store.traces import Traces
from tests.cli.calling import Evalops, settle
from tests.run.scored import Scored

NOW = datetime.now(timezone.utc)
OLD = NOW - timedelta(days=100)


@pytest.fixture(autouse=True)
def deployment(database_url: SecretStr, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run and a trace of long ago, and one of each of today."""
    settle(monkeypatch, tmp_path, database_url, cases=2)
    for day in (1, 2):
        Scored(engine).run(day, "4.000", answers={"a": ("secret", 4.0), "b": ("secret", 4.0)})
    with engine.begin() as connection:
        for run, end in ((1, OLD), (2, NOW)):
            connection.execute(
                text(
                    "UPDATE evalops.eval_runs SET finished_at = :end, window_start = :start, window_end = :end"
                    " WHERE id = :run"
                ),
                {"run": run, "end": end, "start": end - timedelta(days=1)},
            )
    for name, moment in (("old", OLD), ("new", NOW)):
        Traces(engine).insert([Trace(id=name, feature="orders", created_at=moment, messages=[])])


def kept(engine: Engine) -> tuple[int, int]:
    """Answers with a text, and traces."""
    with engine.connect() as connection:
        answers = connection.execute(text("SELECT count(text) FROM evalops.responses")).scalar_one()
        return answers, connection.execute(text("SELECT count(*) FROM evalops.llm_traces")).scalar_one()


def test_without_yes_it_says_what_would_go_and_how_and_takes_nothing(evalops: Evalops, engine: Engine) -> None:
    said = evalops("purge", "--older-than", "90d", "--texts", "--traces")
    day = f"({OLD:%Y-%m-%d} to {OLD:%Y-%m-%d})"
    first, *lines = said.out.splitlines()
    assert re.fullmatch(r"What is older than \d{4}-\d\d-\d\d \d\d:\d\d UTC:", first)
    assert lines == [
        f"texts   the texts of 1 eval run: 2 answers and errors, 2 reasons of scores {day}, 0 mails, 0 kept judgments",
        f"traces  1 trace {day}, 0 embeddings",
        "Nothing was deleted. This deletes it, for good:",
        "  evalops purge --older-than 90d --texts --traces --yes",
    ]
    assert (said.code, said.err) == (0, "")
    assert kept(engine) == (4, 2)


def test_with_yes_it_takes_what_is_old_of_the_kinds_that_are_named(evalops: Evalops, engine: Engine) -> None:
    said = evalops("purge", "--older-than", "90d", "--texts", "--yes")
    assert said.out == (
        "texts   the texts of 1 eval run: 2 answers and errors, 2 reasons of scores, 0 mails, 0 kept judgments "
        "deleted; their scores stay\n"
    )
    assert kept(engine) == (2, 2)
    assert evalops("purge", "--older-than", "2000-01-01", "--traces", "--yes").code == 0
    assert evalops("purge", "--older-than", "12w", "--traces", "--yes").out == "traces  1 trace, 0 embeddings deleted\n"
    assert kept(engine) == (2, 1)


def test_all_three_kinds_are_meant_where_none_is_named(evalops: Evalops, engine: Engine) -> None:
    said = evalops("purge", "--older-than", "90d")
    assert [line.split()[0] for line in said.out.splitlines()] == [
        "What",
        "texts",
        "traces",
        "events",
        "Nothing",
        "evalops",
    ]
    assert "events  0 Dagster runs with their events, and the ticks of 0 schedules and sensors, not counted" in said.out
    done = evalops("purge", "--older-than", "90d", "--yes")
    assert (done.code, done.out.splitlines()[-1]) == (
        0,
        "events  0 Dagster runs with their events deleted, and old ticks",
    )
    assert kept(engine) == (2, 1)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("soon", "expected a span like 90d or 12w, or a date like 2026-01-31, not 'soon'"),
        ("999999999w", "expected a span like 90d or 12w, or a date like 2026-01-31, not '999999999w'"),
        ("12h", "'12h' is less than 1 day ago; what is so new is not taken"),
        ("0d", "'0d' is less than 1 day ago; what is so new is not taken"),
        ("2999-01-01", "'2999-01-01' is less than 1 day ago; what is so new is not taken"),
    ],
)
def test_a_moment_that_cannot_be_meant_is_refused_in_a_sentence(
    evalops: Evalops, engine: Engine, written: str, reason: str
) -> None:
    said = evalops("purge", "--older-than", written, "--yes")
    assert (said.code, said.out, said.err) == (2, "", f"error: --older-than: {reason}\n")
    assert kept(engine) == (4, 2)
