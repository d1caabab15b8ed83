from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from threading import Barrier

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from evalops_core.domain.eval_run import EvalRun, RunStatus
from evalops_core.errors import DatabaseError
from evalops_core.store.runs import EvalRuns
from tests.store.rows import NOW, START, finished, key, new, started


@pytest.fixture
def runs(engine: Engine) -> EvalRuns:
    return EvalRuns(engine)


def test_a_new_run_is_running_and_knows_its_plan(runs: EvalRuns) -> None:
    run = started(runs)
    assert (run.status, run.run_type, run.feature, run.partition_key) == (
        "running",
        "scheduled",
        "explain",
        "2025-03-01",
    )
    assert (run.window_start, run.window_end) == (START, START + timedelta(days=1))
    assert run.comparability == key()
    assert run.plan_key == key().digest
    assert (run.git_sha, run.dagster_run_id, run.score, run.finished_at) == ("abc123", "dagster-1", None, None)
    assert run.created_at.utcoffset() == timedelta(0)
    assert runs.get(run.id) == run


def test_a_window_has_one_scheduled_run(runs: EvalRuns) -> None:
    first = started(runs)
    assert runs.insert(new(dagster_run_id="dagster-2")) is None
    assert runs.scheduled("explain", "2025-03-01") == first
    assert started(runs, "translate").id != first.id
    assert started(runs, day=1).id != first.id


@pytest.mark.parametrize("status", ["completed", "partial", "invalid"])
def test_a_scheduled_run_that_ended_in_any_way_but_failure_holds_its_window(runs: EvalRuns, status: RunStatus) -> None:
    run = runs.finish(started(runs).id, finished(status))
    assert runs.insert(new()) is None
    assert runs.scheduled("explain", "2025-03-01") == run


def test_a_failed_scheduled_run_gives_its_window_free(runs: EvalRuns) -> None:
    failed = runs.fail(started(runs).id, "the suite has gone", NOW)
    assert (failed.status, failed.status_reason, failed.finished_at) == ("failed", "the suite has gone", NOW)
    assert runs.scheduled("explain", "2025-03-01") is None
    assert started(runs).id != failed.id


def test_a_window_has_as_many_manual_runs_as_people_start(runs: EvalRuns) -> None:
    assert len({started(runs, run_type="manual").id for _ in range(3)}) == 3
    assert runs.insert(new()) is not None


def test_of_many_that_start_a_scheduled_run_at_once_one_does(runs: EvalRuns) -> None:
    barrier = Barrier(8)

    def start(number: int) -> bool:
        barrier.wait(30)
        return runs.insert(new(dagster_run_id=f"dagster-{number}")) is not None

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(start, range(8))) == 1


def test_a_finished_run_reads_back_as_it_was_given_at_stored_precision(runs: EvalRuns) -> None:
    run = started(runs)
    given = replace(finished(), score=Decimal("4.19951"), status_reason="for \x00 fun", judge_model_id="judge-1")
    stored = runs.finish(run.id, given)
    assert stored == runs.get(run.id)
    assert (stored.score, stored.se, stored.cost_usd) == (
        Decimal("4.200"),
        Decimal("0.1000"),
        Decimal("0.000123456789"),
    )
    assert (stored.status, stored.status_reason, stored.finished_at) == ("completed", "for \ufffd fun", NOW)
    assert (stored.n, stored.n_unscored, stored.coverage, stored.breakdown) == (39, 1, 0.975, {"exact.exact": 4.2})
    assert (stored.prompt_tokens, stored.completion_tokens) == (1000, 300)
    assert (stored.model_id, stored.judge_model_id) == ("small-2025", "judge-1")
    assert stored.comparability == key("small-2025")
    assert stored.plan_key == run.plan_key != stored.comparability.digest


def test_a_run_without_a_score_keeps_it_missing(runs: EvalRuns) -> None:
    stored = runs.finish(started(runs).id, replace(finished("invalid", score=None), se=None, cost_usd=None))
    assert (stored.score, stored.se, stored.cost_usd) == (None, None, None)


@pytest.mark.parametrize("score", ["0.999", "5.001", "NaN"])
def test_the_database_refuses_a_score_off_the_scale(runs: EvalRuns, score: str) -> None:
    run = started(runs)
    with pytest.raises(IntegrityError, match="ck_eval_runs_score"):
        runs.finish(run.id, finished(score=score))
    assert runs.get(run.id) == run


def test_failing_does_not_touch_a_completed_run(runs: EvalRuns) -> None:
    ended = runs.finish(started(runs).id, finished())
    assert runs.fail(ended.id, "too late", NOW) == ended


@pytest.mark.parametrize("status", ["invalid", "partial"])
def test_a_run_that_nobody_can_use_may_still_fail_and_give_its_window_free(runs: EvalRuns, status: RunStatus) -> None:
    ended = runs.finish(started(runs).id, replace(finished(), status=status))
    assert runs.fail(ended.id, "the suite changed", NOW).status == "failed"
    assert started(runs).id != ended.id


def test_an_adopted_run_is_running_again_for_its_new_dagster_run(runs: EvalRuns) -> None:
    run = started(runs)
    runs.fail(run.id, "killed", NOW)
    adopted = runs.adopt(run.id, "dagster-2")
    assert adopted == replace(run, dagster_run_id="dagster-2")
    assert runs.get(run.id) == adopted


def test_a_failed_run_is_not_adopted_beside_its_successor(runs: EvalRuns) -> None:
    failed = runs.fail(started(runs).id, "killed", NOW)
    started(runs)
    with pytest.raises(DatabaseError, match=f"eval run {failed.id} failed, and its window has another scheduled run"):
        runs.adopt(failed.id, "dagster-2")
    assert runs.get(failed.id) == failed


def test_a_run_that_is_not_there_is_named(runs: EvalRuns) -> None:
    uses: list[Callable[[int], EvalRun]] = [
        runs.get,
        lambda run: runs.adopt(run, "x"),
        lambda run: runs.finish(run, finished()),
        lambda run: runs.fail(run, "x", NOW),
    ]
    for use in uses:
        with pytest.raises(DatabaseError, match="there is no eval run 404"):
            use(404)


def test_a_dagster_run_finds_its_own_newest_run_that_has_not_failed(runs: EvalRuns) -> None:
    assert runs.of_dagster_run("explain", "2025-03-01", "dagster-1") is None
    first = started(runs, run_type="manual")
    newer = started(runs, run_type="manual")
    started(runs, run_type="manual", dagster_run_id="dagster-2")
    started(runs, "translate", run_type="manual")
    started(runs, run_type="manual", day=1)
    assert runs.of_dagster_run("explain", "2025-03-01", "dagster-1") == newer
    runs.fail(newer.id, "killed", NOW)
    assert runs.of_dagster_run("explain", "2025-03-01", "dagster-1") == first


def test_an_unfinished_manual_run_is_found_by_its_plan(runs: EvalRuns) -> None:
    plan = key().digest
    started(runs)  # scheduled: never gone on with by hand
    started(runs, run_type="manual", model="large")
    assert runs.unfinished_manual("explain", "2025-03-01", plan) is None
    older, newer = started(runs, run_type="manual"), started(runs, run_type="manual")
    assert runs.unfinished_manual("explain", "2025-03-01", plan) == newer
    runs.finish(newer.id, finished())
    assert runs.unfinished_manual("explain", "2025-03-01", plan) == older
    assert runs.unfinished_manual("explain", "2025-03-02", plan) is None


def test_the_latest_run_of_a_window_is_the_newest_that_has_not_failed(runs: EvalRuns) -> None:
    assert runs.latest("explain", "2025-03-01") is None
    scheduled = started(runs)
    assert runs.latest("explain", "2025-03-01") == scheduled
    manual = started(runs, run_type="manual")
    assert runs.latest("explain", "2025-03-01") == manual
    runs.fail(manual.id, "killed", NOW)
    assert runs.latest("explain", "2025-03-01") == scheduled


def test_recent_runs_come_newest_first(runs: EvalRuns) -> None:
    made = [started(runs, feature, day=day) for day in range(3) for feature in ("explain", "translate")]
    assert runs.recent(None, 4) == made[:1:-1]
    assert runs.recent("explain", 10) == made[::-1][1::2]


def test_the_database_refuses_what_the_domain_has_no_word_for(runs: EvalRuns, engine: Engine) -> None:
    run = started(runs)
    refused = {
        "run_type = 'hourly'": "ck_eval_runs_run_type",
        "status = 'done', finished_at = now()": "ck_eval_runs_status",
        "status = 'completed'": "ck_eval_runs_finished",
        "window_end = window_start": "ck_eval_runs_window",
        "coverage = 1.01": "ck_eval_runs_coverage",
        "se = 'NaN'": "ck_eval_runs_se",
        "n = -1": "ck_eval_runs_counts",
    }
    for change, constraint in refused.items():
        with engine.begin() as connection, pytest.raises(IntegrityError, match=constraint):
            connection.execute(text(f"UPDATE evalops.eval_runs SET {change} WHERE id = {run.id}"))  # noqa: S608  # ours
    assert runs.get(run.id) == run
