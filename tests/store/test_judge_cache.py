"""What judges said before, kept and found again."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, text

from evalops_core.domain.eval_run import ScoreRow
from evalops_core.domain.score import Score, Unscored
from evalops_core.store.judge_cache import Entry, JudgeCache, Judgment, count_taken
from evalops_core.store.results import CaseResults
from evalops_core.store.runs import EvalRuns
from tests.store.rows import started

SAID = Judgment("judge-2026-01-01", {"tone": (3.0, "Grüße 🙂"), "truth": (5.0, None)})
UNPAID: dict[str, Any] = {"prompt_tokens": 0, "completion_tokens": 0, "cost_usd": Decimal(0)}


@pytest.fixture
def cache(engine: Engine) -> JudgeCache:
    return JudgeCache(engine, days=30)


def keep(engine: Engine, cache: JudgeCache, *entries: Entry) -> None:
    with engine.begin() as connection:
        cache.keep(entries, connection)


def age(engine: Engine, key: str, days: float) -> None:
    with engine.begin() as connection:
        older = text("UPDATE evalops.judge_cache SET created_at = now() - :days * interval '1 day' WHERE key = :key")
        connection.execute(older, {"days": days, "key": key})


def keys(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(text("SELECT key FROM evalops.judge_cache ORDER BY key")))


def row(case_id: str, axis: str = "tone", **given: Any) -> ScoreRow:
    outcome = given.pop("outcome", Score(3.0))
    return ScoreRow(case_id, 0, "judge", axis, outcome, **given)


def test_a_judgment_is_found_by_its_key_and_the_id_of_the_judge_as_it_was_kept(
    engine: Engine, cache: JudgeCache
) -> None:
    keep(engine, cache, Entry("a", "judge", SAID), Entry("b", "judge", SAID))
    assert cache.find(["a", "c"], SAID.model) == {"a": SAID}
    assert cache.find(["a"], "judge-2026-02-02") == {}
    assert cache.find([], SAID.model) == {}


def test_words_that_postgresql_cannot_hold_are_kept_as_nearly_as_it_can(engine: Engine, cache: JudgeCache) -> None:
    keep(engine, cache, Entry("a", "judge", Judgment("m\x00", {"tone": (1.0, "nul \x00, half \ud800, :x %(y)s")})))
    found = cache.find(["a"], "m\x00")["a"]
    assert found.axes == {"tone": (1.0, "nul \ufffd, half \ufffd, :x %(y)s")}


def test_the_newest_judgment_of_a_question_is_the_one_that_counts(engine: Engine, cache: JudgeCache) -> None:
    keep(engine, cache, Entry("a", "judge", SAID))
    age(engine, "a", 29)
    newer = Judgment("judge-2026-02-02", {"tone": (1.0, "no"), "truth": (1.0, "no")})
    keep(engine, cache, Entry("a", "judge", SAID), Entry("a", "judge", newer))
    assert (cache.find(["a"], SAID.model), cache.find(["a"], newer.model)) == ({}, {"a": newer})
    age(engine, "a", 29)
    assert cache.find(["a"], newer.model) == {"a": newer}


def test_a_judge_is_known_by_the_id_that_it_was_last_resolved_to(engine: Engine, cache: JudgeCache) -> None:
    newer = Judgment("judge-2026-02-02", SAID.axes)
    keep(engine, cache, Entry("a", "judge", newer), Entry("b", "judge", SAID), Entry("c", "other", SAID))
    age(engine, "b", 1)
    assert [cache.resolved(judge) for judge in ("judge", "other", "nobody")] == [newer.model, SAID.model, None]


def test_entries_hold_for_so_many_days_and_are_then_forgotten(engine: Engine, cache: JudgeCache) -> None:
    keep(engine, cache, Entry("a", "judge", SAID), Entry("b", "judge", SAID))
    age(engine, "a", 30.01)
    age(engine, "b", 29.99)
    assert cache.find(["a", "b"], SAID.model) == {"b": SAID}
    assert (cache.forget(), keys(engine)) == (1, ["b"])
    age(engine, "b", 31)
    assert cache.resolved("judge") is None


def test_forgetting_takes_the_oldest_first_and_only_so_many(
    engine: Engine, cache: JudgeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evalops_core.store.judge_cache._MOST_FORGOTTEN", 2)
    keep(engine, cache, *(Entry(key, "judge", SAID) for key in "abc"))
    for key, days in {"a": 40, "b": 60, "c": 50}.items():
        age(engine, key, days)
    assert (cache.forget(), keys(engine)) == (2, ["a"])
    assert (cache.forget(), cache.forget()) == (1, 0)


def test_what_is_kept_is_rolled_back_with_the_transaction_that_keeps_it(engine: Engine, cache: JudgeCache) -> None:
    with engine.connect() as connection:
        cache.keep([Entry("a", "judge", SAID)], connection)
        connection.rollback()
    assert keys(engine) == []


def test_two_that_keep_the_same_entries_in_another_order_do_not_lock_each_other_out(
    engine: Engine, cache: JudgeCache
) -> None:
    entries = [Entry(f"{number:03d}", "judge", SAID) for number in range(500)]
    with ThreadPoolExecutor(4) as pool:
        kept = [pool.submit(keep, engine, cache, *entries[:: 1 if turn % 2 else -1]) for turn in range(20)]
        for one in kept:
            one.result()
    assert len(keys(engine)) == 500


def test_rows_that_were_taken_are_told_from_those_of_calls(engine: Engine, cache: JudgeCache) -> None:
    run, other = (started(EvalRuns(engine), run_type="manual").id for _ in range(2))
    results = CaseResults(engine)
    taken = [row("taken", model="old", **UNPAID), row("taken", "truth")]
    asked = [
        row("asked", model="new", prompt_tokens=10, completion_tokens=1, cost_usd=Decimal(0)),
        row("asked", "truth"),
        row("uncounted", model="silent", cost_usd=Decimal(0)),
        row("unpriced", model="silent", prompt_tokens=0, completion_tokens=0),
        row("failed", model="mute", outcome=Unscored("unreadable"), **UNPAID),
        row("rule", outcome=Score(1.0)),
    ]
    results.save_scores(run, [*taken, *asked])
    results.save_scores(other, taken)
    assert (count_taken(engine, run), count_taken(engine, other)) == (1, 1)
    assert cache.asked(run, ["judge"]) == {"new", "silent", "mute"}
    assert cache.asked(run, ["another"]) == set()


def test_giving_back_removes_every_axis_of_what_was_taken_and_nothing_else(engine: Engine, cache: JudgeCache) -> None:
    run, other = (started(EvalRuns(engine), run_type="manual").id for _ in range(2))
    results = CaseResults(engine)
    old = [row("a", model="old", **UNPAID), row("a", "truth")]
    new = [row("b", model="new", **UNPAID), row("b", "truth")]
    asked = [row("c", model="old", prompt_tokens=1, completion_tokens=1), row("c", "truth")]
    for each in (run, other):
        results.save_scores(each, [*old, *new, *asked])
    assert cache.give_back(run, except_of="new") == 2
    assert [s.case_id for s in results.scores(run)] == ["b", "b", "c", "c"]
    assert cache.give_back(run) == 2
    assert [s.case_id for s in results.scores(run)] == ["c", "c"]
    assert len(results.scores(other)) == 6
