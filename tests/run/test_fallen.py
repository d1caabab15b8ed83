"""Two runs case by case: which one a run is put beside, and which cases moved."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import Engine, text

from evalops_core.domain.eval_run import EvalRun
from evalops_core.domain.suite import Case
from evalops_core.run.fallen import MostMoved, most_moved, pair
from tests.run.scored import Scored

BEFORE = {"a": ("a then", 4.0), "b": ("b then", 4.0), "c": ("c then", 3.0), "d": ("d then", 2.0), "e": ("e then", 5.0)}
AFTER = {"a": ("a now", 3.5), "b": ("b now", 4.004), "c": ("c now", 3.5), "d": ("d now", 4.5), "f": ("f now", 1.0)}


@pytest.fixture
def scored(engine: Engine) -> Scored:
    return Scored(engine)


def moved(engine: Engine, run: EvalRun, **given: Any) -> MostMoved | None:
    cases = [Case("a", fields={"question": "a?"}, reference="the reference")]
    return most_moved(engine, run, cases, **given)


def prior(engine: Engine, run: EvalRun) -> int | None:
    found = moved(engine, run)
    return None if found is None else found.before.id


def unscore(engine: Engine, run: EvalRun, case: str) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("""
                UPDATE evalops.scores SET value = NULL, unscored_reason = 'the judge is out'
                WHERE eval_run_id = :run AND case_id = :case
            """),
            {"run": run.id, "case": case},
        )


def test_the_cases_that_moved_come_furthest_first_and_of_two_alike_the_one_that_fell(
    engine: Engine, scored: Scored
) -> None:
    first, second = scored.run(0, "4.000", answers=BEFORE), scored.run(1, "4.000", answers=AFTER)
    found = moved(engine, second)
    assert found is not None
    assert (found.before, found.more, found.changed, found.measured_alike) == (first, 0, (), True)
    assert [(case.case_id, case.before, case.after) for case in found.cases] == [
        ("d", 2.0, 4.5),
        ("a", 4.0, 3.5),
        ("c", 3.0, 3.5),
    ]
    one = found.cases[1]
    assert (one.answer_before, one.answer_after, one.why) == ("a then", "a now", "quality: because of a")
    assert (one.input, one.reference) == ("question: a?", "the reference")


def test_at_most_so_many_are_shown_and_the_others_counted(engine: Engine, scored: Scored) -> None:
    scored.run(0, "4.000", answers=BEFORE)
    found = moved(engine, scored.run(1, "4.000", answers=AFTER), most=1)
    assert found is not None
    assert ([case.case_id for case in found.cases], found.more) == (["d"], 2)


def test_a_case_that_lost_its_score_comes_last_and_is_no_zero(engine: Engine, scored: Scored) -> None:
    scored.run(0, "4.000", answers=BEFORE)
    second = scored.run(1, "4.000", answers=AFTER)
    unscore(engine, second, "d")
    found = moved(engine, second)
    assert found is not None
    assert [(case.case_id, case.after) for case in found.cases] == [("a", 3.5), ("c", 3.5), ("d", None)]
    assert found.cases[-1].why == "quality: the judge is out"


def test_a_case_that_had_no_score_before_is_not_known_to_have_moved(engine: Engine, scored: Scored) -> None:
    first, second = scored.run(0, "4.000", answers=BEFORE), scored.run(1, "4.000", answers=AFTER)
    unscore(engine, first, "d")
    found = moved(engine, second)
    assert found is not None
    assert [case.case_id for case in found.cases] == ["a", "c"]


def test_where_nothing_moved_there_is_a_run_and_no_case(engine: Engine, scored: Scored) -> None:
    scored.run(0, "4.000", answers=BEFORE)
    found = moved(engine, scored.run(1, "4.000", answers=BEFORE))
    assert found is not None
    assert (found.cases, found.more) == ((), 0)


def test_it_is_the_newest_valid_scheduled_run_before_with_the_same_model(engine: Engine, scored: Scored) -> None:
    wanted = scored.run(2, "4.000", answers=BEFORE)
    scored.run(1, "4.000", answers=BEFORE)
    scored.run(3, "4.000", status="invalid", answers=BEFORE)
    scored.run(4, "4.000", model="large-1", answers=BEFORE)
    scored.run(5, "4.000", run_type="manual", answers=BEFORE)
    scored.run(6, "4.000", feature="orders", answers=BEFORE)
    scored.run(9, "4.000", answers=BEFORE)
    assert prior(engine, scored.run(8, "4.000", answers=AFTER)) == wanted.id
    assert prior(engine, scored.run(8, "4.000", run_type="manual", answers=AFTER)) == 8, "its own window's comes first"
    assert prior(engine, scored.run(7, "4.000", run_type="manual", answers=AFTER)) == wanted.id


def test_a_run_by_hand_is_put_beside_its_window_s_scheduled_run_only_where_that_was_first(
    engine: Engine, scored: Scored
) -> None:
    before = scored.run(0, "4.000", answers=BEFORE)
    by_hand = scored.run(1, "4.000", run_type="manual", answers=AFTER)
    scheduled = scored.run(1, "4.000", answers=BEFORE)
    again = scored.run(1, "4.000", run_type="manual", answers=AFTER)
    other = scored.run(1, "4.000", run_type="manual", model="large-1", answers=AFTER)
    assert (prior(engine, by_hand), prior(engine, again), prior(engine, other)) == (before.id, scheduled.id, None)


def test_without_a_run_before_there_is_nothing(engine: Engine, scored: Scored) -> None:
    assert moved(engine, scored.run(0, "4.000", answers=BEFORE)) is None


@pytest.mark.parametrize(
    ("key", "changed", "alike"),
    [
        ({"prompt": "p2"}, "the prompt changed (p → p2)", True),
        ({"scorers": "s2"}, "the scorers changed (s → s2)", False),
        ({"judge": "strict"}, "the judge changed (none → strict)", False),
    ],
)
def test_what_else_changed_is_said(
    engine: Engine, scored: Scored, key: Mapping[str, str], changed: str, alike: bool
) -> None:
    scored.run(0, "4.000", answers=BEFORE)
    found = moved(engine, scored.run(1, "4.000", answers=AFTER, key=key))
    assert found is not None
    assert (found.changed, found.measured_alike, len(found.cases)) == ((changed,), alike, 3)


def test_of_what_moved_pairing_has_what_fell(engine: Engine, scored: Scored) -> None:
    first, second = scored.run(0, "4.000", answers=BEFORE), scored.run(1, "4.000", answers=AFTER)
    paired = pair(engine, first, second, [], 10)
    assert [case.case_id for case in paired.moved] == ["a"]
    assert (paired.missing, paired.new) == (("e",), ("f",))
