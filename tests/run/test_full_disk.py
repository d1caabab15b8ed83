"""A disk that is full in the middle of a run: one sentence, nothing half stored, and the next run goes on.

The server's disk stands in as a trigger that raises PostgreSQL's own error for it from some row on.
"""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from evalops_core.domain.suite import Suite
from evalops_core.errors import DatabaseError
from evalops_core.run.evaluate import evaluate
from evalops_core.run.progress import silent
from evalops_core.store.results import CaseResults
from evalops_core.wiring import Workshop
from tests.builders import make_suite
from tests.mock_fixture import MockOpenAI

CASES, ROOM = 40, 15
_FULL = """
    CREATE FUNCTION public.disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF (SELECT count(*) FROM evalops.responses) > %(room)d THEN
            RAISE 'could not extend file "base/1/2": No space left on device'
                USING ERRCODE = 'disk_full', HINT = 'Check free disk space.';
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER disk AFTER INSERT ON evalops.responses EXECUTE FUNCTION public.disk();
"""


@pytest.fixture
def suite(mock_openai: MockOpenAI, tmp_path: Path) -> Suite:
    return make_suite(tmp_path / "suites", mock_openai.base_url, cases=CASES)


def test_a_run_without_room_for_its_answers_ends_in_a_sentence_and_goes_on_when_there_is_room(
    workshop: Workshop, suite: Suite, engine: Engine, mock_openai: MockOpenAI
) -> None:
    mock_openai.configure(latency_ms=20)
    _execute(engine, _FULL % {"room": ROOM})
    plan = workshop.plan(suite, run_type="scheduled")
    url = engine.url
    with pytest.raises(DatabaseError) as failed:
        asyncio.run(evaluate(plan, workshop.tools, silent))
    assert str(failed.value) == (
        f"database {url.database} at {url.host}:{url.port} has no room left on its disk: could not extend file "
        '"base/1/2": No space left on device; make room, then go on'
    )
    (cut_short,) = workshop.tools.runs.recent("orders", 9)
    kept = {row.case_id for row in CaseResults(engine).responses(cut_short.id)}
    assert cut_short.status == "running"
    assert len(kept) <= ROOM

    _execute(engine, "DROP TRIGGER disk ON evalops.responses")
    before = len(mock_openai.requests())
    finished = asyncio.run(evaluate(plan, workshop.tools, silent))
    assert (finished.id, finished.status, finished.n) == (cut_short.id, "completed", CASES)
    later = Counter((request["kind"], request["key"]) for request in mock_openai.requests()[before:])
    assert not [case for case in kept if later["generate", case]], "a stored answer was paid again"
    assert sum(later.values()) == 2 * CASES - len(kept)


def _execute(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))
