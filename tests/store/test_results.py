from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import IntegrityError

from evalops_core.domain.eval_run import Response, ScoreRow
from evalops_core.domain.score import Outcome, Score, Unscored
from evalops_core.store.results import CaseResults
from evalops_core.store.runs import EvalRuns
from evalops_core.store.storable import storable
from tests.store.rows import started

ERROR = Response("a", 0, error_class="TransientError", error_text="timed out", attempts=8)
ANSWER = Response(
    "a",
    0,
    text="Grüße, 世界 🙂 100% :x %(y)s \\ \"'",
    model="small-2025",
    finish_reason="stop",
    prompt_tokens=10,
    completion_tokens=20,
    cost_usd=Decimal("0.00000012345678901234567890"),
    latency_s=0.1,
    attempts=2,
)

_shared_database = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def results(engine: Engine) -> CaseResults:
    return CaseResults(engine)


@pytest.fixture
def run(engine: Engine) -> int:
    return started(EvalRuns(engine)).id


@pytest.fixture
def other_run(engine: Engine) -> int:
    return started(EvalRuns(engine), run_type="manual").id


def score(outcome: Outcome, case_id: str = "a", axis: str = "clarity", **given: Any) -> ScoreRow:
    return ScoreRow(case_id, 0, "judge", axis, outcome, **given)


def response(case_id: str, answer: str | None) -> Response:
    if answer is None:
        return Response(case_id, 0, error_class="TransientError", error_text="timed out")
    return Response(case_id, 0, text=answer)


def test_responses_read_back_as_they_were_saved(results: CaseResults, run: int) -> None:
    failed = Response("a", 1, error_class="PermanentError", error_text="no such model", attempts=1)
    later = Response("b", 0, text="")
    results.save_responses(run, [later, failed, ANSWER])
    assert results.responses(run) == [ANSWER, failed, later]


def test_scores_read_back_as_they_were_saved(results: CaseResults, run: int) -> None:
    scored = score(
        Score(10 / 3),
        rationale="clear",
        model="judge-1",
        prompt_tokens=5,
        completion_tokens=6,
        cost_usd=Decimal("0.1"),
    )
    unscored = score(Unscored("the judge said nothing"), axis="tone")
    results.save_scores(run, [unscored, scored])
    assert results.scores(run) == [scored, unscored]


def test_runs_are_kept_apart(results: CaseResults, run: int, other_run: int) -> None:
    results.save_responses(run, [ANSWER])
    results.save_scores(run, [score(Score(4.0))])
    assert (results.responses(other_run), results.scores(other_run)) == ([], [])


def test_saving_nothing_is_fine(results: CaseResults, run: int) -> None:
    results.save_responses(run, [])
    results.save_scores(run, [])
    assert (results.responses(run), results.scores(run)) == ([], [])


def test_an_error_gives_way_to_an_answer_and_to_a_newer_error(results: CaseResults, run: int) -> None:
    newer = Response("a", 0, error_class="PermanentError", error_text="refused")
    for latest in (ERROR, newer, ANSWER):
        results.save_responses(run, [latest])
        assert results.responses(run) == [latest]


def test_a_stored_answer_is_never_overwritten(results: CaseResults, run: int) -> None:
    results.save_responses(run, [ANSWER])
    results.save_responses(run, [ERROR, Response("b", 0, text="new")])
    results.save_responses(run, [Response("a", 0, text="another answer")])
    assert results.responses(run) == [ANSWER, Response("b", 0, text="new")]


def test_a_value_replaces_anything_and_an_unscored_no_value(results: CaseResults, run: int) -> None:
    steps: Sequence[tuple[Outcome, Outcome]] = [
        (Unscored("one"), Unscored("one")),
        (Unscored("two"), Unscored("two")),
        (Score(2.0), Score(2.0)),
        (Unscored("three"), Score(2.0)),
        (Score(3.0), Score(3.0)),
    ]
    for saved, kept in steps:
        results.save_scores(run, [score(saved)])
        assert [row.outcome for row in results.scores(run)] == [kept]


CASES = st.sampled_from("ab")
RESPONSES = st.builds(response, CASES, st.sampled_from([None, "x", "y"]))
OUTCOMES = st.sampled_from([Score(1.0), Score(5.0), Unscored("one"), Unscored("two")])
SCORES = st.builds(score, OUTCOMES, CASES)


@_shared_database
@given(responses=st.lists(RESPONSES, max_size=6), scores=st.lists(SCORES, max_size=6))
def test_a_group_ends_as_its_rows_one_by_one_would(
    engine: Engine, responses: list[Response], scores: list[ScoreRow]
) -> None:
    results, runs = CaseResults(engine), EvalRuns(engine)
    together, apart = started(runs, run_type="manual").id, started(runs, run_type="manual").id
    results.save_responses(together, responses)
    results.save_scores(together, scores)
    for row in responses:
        results.save_responses(apart, [row])
    for row in scores:
        results.save_scores(apart, [row])
    assert results.responses(together) == results.responses(apart)
    assert results.scores(together) == results.scores(apart)


@_shared_database
@given(answer=st.text(st.characters(), max_size=50), value=st.floats(1, 5))
def test_any_text_and_any_value_can_be_stored(engine: Engine, answer: str, value: float) -> None:
    results, run = CaseResults(engine), started(EvalRuns(engine), run_type="manual").id
    results.save_responses(run, [Response("a", 0, text=answer, model=answer, finish_reason=answer)])
    results.save_responses(run, [Response("b", 0, error_class="E" + answer, error_text=answer)])
    results.save_scores(run, [score(Score(value), rationale=answer, model=answer)])
    results.save_scores(run, [score(Unscored(answer), axis="tone")])
    kept = storable(answer)
    assert results.responses(run) == [
        Response("a", 0, text=kept, model=kept, finish_reason=kept),
        Response("b", 0, error_class="E" + kept, error_text=kept),
    ]
    assert results.scores(run) == [
        score(Score(value), rationale=kept, model=kept),
        score(Unscored(kept), axis="tone"),
    ]


def test_nul_and_lone_surrogates_are_marked_in_the_stored_text(results: CaseResults, run: int) -> None:
    results.save_responses(run, [Response("a", 0, text="a\x00b\ud800c\udfffd🙂")])
    assert results.responses(run)[0].text == "a\ufffdb\ufffdc\ufffdd🙂"


def test_a_row_with_neither_answer_nor_error_is_refused_with_its_whole_group(results: CaseResults, run: int) -> None:
    for broken in (Response("b", 0), Response("b", 0, text="x", error_class="E")):
        with pytest.raises(IntegrityError, match="ck_responses_text_or_error"):
            results.save_responses(run, [ANSWER, broken])
    assert results.responses(run) == []


def test_the_database_refuses_what_is_no_score(engine: Engine, run: int) -> None:
    insert = "INSERT INTO evalops.scores (eval_run_id, case_id, repeat, scorer, axis, value, unscored_reason)"
    refused = {
        "'NaN', NULL": "ck_scores_value",
        "'Infinity', NULL": "ck_scores_value",
        "0.99, NULL": "ck_scores_value",
        "5.01, NULL": "ck_scores_value",
        "NULL, NULL": "ck_scores_value_or_reason",
        "4, 'and a reason'": "ck_scores_value_or_reason",
    }
    for values, constraint in refused.items():
        with engine.begin() as connection, pytest.raises(IntegrityError, match=rf'"{constraint}"'):
            connection.execute(text(f"{insert} VALUES ({run}, 'a', 0, 's', 'x', {values})"))


def test_results_of_no_run_are_refused(results: CaseResults) -> None:
    with pytest.raises(IntegrityError, match="fk_responses_eval_run_id"):
        results.save_responses(404, [ANSWER])


def test_a_big_group_is_saved_whole_in_few_statements(engine: Engine, results: CaseResults, run: int) -> None:
    statements: list[str] = []

    def count(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", count)
    results.save_responses(run, [Response(f"case-{number:05}", 0, text="x" * 100) for number in range(2500)])
    event.remove(engine, "before_cursor_execute", count)
    assert len(statements) == 3
    assert [row.case_id for row in results.responses(run)] == [f"case-{number:05}" for number in range(2500)]


def test_groups_saved_from_many_threads_all_arrive(results: CaseResults, run: int) -> None:
    def save(thread: int) -> None:
        # every thread saves its own rows and the same shared ones, in another order: rows are locked in one order
        rows = [Response(f"shared-{number}", 0, text="x") for number in range(50)]
        results.save_responses(run, [*(rows if thread % 2 else rows[::-1]), Response(f"own-{thread}", 0, text="y")])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(save, range(16)))
    assert len(results.responses(run)) == 66


def test_copied_responses_fill_what_the_other_run_lacks_and_cost_it_nothing(
    results: CaseResults, run: int, other_run: int
) -> None:
    kept = Response("b", 0, text="its own")
    results.save_responses(run, [ANSWER, Response("b", 0, text="x"), Response("c", 0, text="z")])
    results.save_responses(other_run, [ERROR, kept])
    assert results.copy_responses(run, other_run) == 2
    third = Response("c", 0, text="z", cost_usd=Decimal(0), prompt_tokens=0, completion_tokens=0)
    unpaid = replace(ANSWER, cost_usd=Decimal(0), prompt_tokens=0, completion_tokens=0)
    assert results.responses(other_run) == [unpaid, kept, third]
    assert results.copy_responses(run, other_run) == 0


def test_results_go_with_their_run(engine: Engine, results: CaseResults, run: int) -> None:
    results.save_responses(run, [ANSWER])
    results.save_scores(run, [score(Score(4.0))])
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM evalops.eval_runs WHERE id = :run"), {"run": run})
    assert (results.responses(run), results.scores(run)) == ([], [])
