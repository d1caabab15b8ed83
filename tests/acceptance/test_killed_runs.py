"""kill -9 at any moment, then the same command again: every case exactly once, and nothing stored is paid again."""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from evalops_core.run.outcomes import outcomes
from evalops_core.store.results import CaseResults
from evalops_core.store.runs import EvalRuns
from evalops_core.suites.loader import load_suite
from tests.acceptance.conftest import Command
from tests.builders import judge_settings, make_workshop, write_suite
from tests.mock_fixture import MockOpenAI

CASES = 60
IN_FLIGHT = 8


def until(condition: Callable[[], bool], *, alive: Callable[[], bool]) -> None:
    """Wait for another process's effect."""
    deadline = time.monotonic() + 60
    while not condition():
        assert alive(), "the process ended before the moment to kill it came"
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.process
@pytest.mark.parametrize(
    ("kind", "seen"),
    [("generate", 1), ("generate", 30), ("generate", CASES), ("judge", 1), ("judge", 35), ("judge", CASES)],
    ids=["first answer", "halfway", "last answer", "first judgment", "halfway judged", "while committing"],
)
def test_a_run_killed_at_any_moment_is_finished_by_the_next_without_paying_stored_results_again(
    evalops: Command, mock_openai: MockOpenAI, engine: Engine, tmp_path: Path, kind: str, seen: int
) -> None:
    folder = write_suite(tmp_path / "suites", mock_openai.base_url, cases=CASES)
    mock_openai.configure(latency_ms=30)
    victim = evalops.start("run", "--json")
    until(lambda: mock_openai.stats()["by_kind"].get(kind, 0) >= seen, alive=lambda: victim.poll() is None)
    victim.kill()
    victim.wait()
    until(lambda: mock_openai.stats()["in_flight"] == 0, alive=lambda: True)

    runs, results = EvalRuns(engine), CaseResults(engine)
    (killed,) = runs.recent("orders", 10)
    answered = {row.case_id for row in results.responses(killed.id)}
    judged = {row.case_id for row in results.scores(killed.id)}
    before = len(mock_openai.requests())
    (finished,) = evalops.json("run", "--json")

    later = Counter((request["kind"], request["key"]) for request in mock_openai.requests()[before:])
    assert not [key for key in answered if later["generate", key]], "a stored answer was paid again"
    if killed.status != "completed":
        assert finished["id"] == killed.id
        assert not [key for key in judged if later["judge", key]], "a stored judgment was paid again"
        assert sum(later.values()) == 2 * CASES - len(answered) - len(judged)
        paid_again = mock_openai.stats()["paid_again"]
        assert len(paid_again) <= IN_FLIGHT, "more than what was in flight was paid twice"
    assert (finished["status"], finished["n"], finished["n_unscored"]) == ("completed", CASES, 0)

    plan = make_workshop(engine, judge_settings(mock_openai.base_url, tmp_path)).plan(
        load_suite(folder), run_type="manual"
    )
    rows = results.responses(finished["id"]), results.scores(finished["id"])
    assert Counter(row.case_id for row in rows[0]) == {case.id: 1 for case in plan.cases}
    assert Counter((row.case_id, row.axis) for row in rows[1]).most_common(1)[0][1] == 1
    assert len(outcomes(runs.get(finished["id"]), [case.id for case in plan.cases], *rows)) == CASES
