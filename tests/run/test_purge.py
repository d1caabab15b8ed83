"""Old texts go, and nothing that is computed from scores notices; what may still be needed stays."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from evalops_core.domain.eval_run import PURGED, EvalRun, Response
from evalops_core.domain.suite import RegressionSpec
from evalops_core.errors import EvalOpsError
from evalops_core.run.alert_rules import AlertRules, FeatureAlerts
from evalops_core.run.baseline_desk import pin_baseline
from evalops_core.run.begin import begin, continued
from evalops_core.run.deliver import deliver
from evalops_core.run.detect import detect
from evalops_core.run.evaluate import score
from evalops_core.run.fallen import most_moved
from evalops_core.run.message_desk import message_file
from evalops_core.run.plan import Plan
from evalops_core.run.progress import Progress, silent
from evalops_core.run.purge import TakenTexts, days_before, old_texts, purge_texts
from evalops_core.settings import load_settings
from evalops_core.store.alerting import reading
from evalops_core.store.case_means import case_means
from evalops_core.store.history import trend
from evalops_core.store.judge_cache import Entry, JudgeCache, Judgment
from evalops_core.store.outbox import Outbox
from evalops_core.store.results import CaseResults
from evalops_core.store.runs import EvalRuns
from evalops_core.wiring import Workshop, workshop_over
from tests.builders import make_suite
from tests.run.scored import NOW, START, Scored, rules
from tests.run.test_compare import answers
from tests.run.test_deliver import Provider

LATER = NOW + timedelta(days=400)  # when everything that these tests make is old
STATISTICS = AlertRules(
    others=FeatureAlerts(rules=RegressionSpec(), recipients=("team@example.com",)), ui_url="http://ui"
)


@pytest.fixture
def scored(engine: Engine) -> Scored:
    return Scored(engine)


@pytest.fixture
def workshop(engine: Engine, tmp_path: Path) -> Workshop:
    """Nothing listens where its model should be: these tests call nobody."""
    return workshop_over(engine, load_settings(home=tmp_path / "home"), report=silent)


def rows(engine: Engine, statement: str) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(text(statement)).all())


def texts(engine: Engine) -> int:
    """How many texts of models and judges the runs hold."""
    (row,) = rows(
        engine,
        "SELECT (SELECT count(coalesce(text, error_text)) FROM evalops.responses)"
        " + (SELECT count(rationale) FROM evalops.scores)",
    )
    return row[0]


def plan_of(run: EvalRun, workshop: Workshop, folder: Path, **given: Any) -> Plan:
    """A plan that the run would be gone on with by, or judged again."""
    suite = make_suite(folder, "http://127.0.0.1:9/v1", feature=run.feature, cases=2)
    plan = workshop.plan(suite, run_type=given.pop("run_type", "manual"), partition_key=run.partition_key, **given)
    return replace(plan, past_windows=True)


def of_plan(plan: Plan, engine: Engine, status: str = "completed") -> EvalRun:
    """A run of that plan that has ended long ago, an answer and an error in it."""
    runs = EvalRuns(engine)
    run = begin(plan, runs, plan.window.start).run
    CaseResults(engine).save_responses(
        run.id, [Response("case-000000", 0, text="hm"), Response("case-000001", 0, error_class="E", error_text="late")]
    )
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE evalops.eval_runs SET status = :status, finished_at = window_end WHERE id = :run"),
            {"status": status, "run": run.id},
        )
    return runs.get(run.id)


def test_scores_trend_verdicts_and_what_the_statistics_read_are_the_same_after_a_purge(
    engine: Engine, scored: Scored
) -> None:
    ids = [scored.run(day, "4.100", answers=answers(fall=0.02 * (day % 3))).id for day in range(8)]
    pin_baseline(engine, ids[2], "the best", "me", NOW)
    ids.append(scored.run(8, "3.600", answers=answers(fall=0.6)).id)
    detect(engine, STATISTICS, NOW)

    def known() -> list[Any]:
        with reading(engine) as tables:
            means = case_means(tables.connection, ids)
        stored = [
            rows(engine, f"SELECT * FROM evalops.{table} ORDER BY 1")  # noqa: S608  # names of this test
            for table in ("verdicts", "incidents", "baselines", "slides", "confirmations", "spend")
        ]
        sums = rows(
            engine,
            "SELECT eval_run_id, case_id, repeat, scorer, axis, value, unscored_reason, model, prompt_tokens,"
            " completion_tokens, cost_usd FROM evalops.scores ORDER BY 1, 2, 3, 4, 5",
        )
        ran = [replace(EvalRuns(engine).get(run), texts_purged_at=None) for run in ids]
        return [trend(engine), means, stored, sums, ran]

    before = known()
    assert before[2][0], "there is a verdict to compare"
    taken = purge_texts(engine, LATER)
    assert (taken.runs, taken.responses, taken.scores) == (9, 180, 180)
    assert texts(engine) == 0
    assert known() == before
    assert purge_texts(engine, LATER) == TakenTexts(0, 0, 0, 0, 0), "once is enough"
    scored.run(9, "3.600", answers=answers(fall=0.6))
    assert detect(engine, STATISTICS, NOW).judged == 1, "the next score is compared with what has no texts any more"


def test_what_would_go_is_counted_and_stays(engine: Engine, scored: Scored) -> None:
    scored.run(1, "4.100", answers=answers())
    scored.run(2, "4.100", answers=answers())
    scored.run(9, "4.100", answers=answers())
    found = old_texts(engine, START + timedelta(days=5))
    assert (found.runs, found.responses, found.scores, found.unfinished) == (2, 40, 40, 0)
    assert (found.first, found.last) == (START + timedelta(days=1, hours=1), START + timedelta(days=2, hours=1))
    assert texts(engine) == 120


def test_a_run_that_may_still_go_on_keeps_its_texts_however_old_it_is(engine: Engine, scored: Scored) -> None:
    running = scored.run(1, None, feature="a", answers=answers())
    EvalRuns(engine).adopt(running.id, "d")
    scored.run(5, None, status="partial", feature="b", answers=answers())  # its window ends at the end of day 5
    before = START + timedelta(days=5, hours=2)
    assert old_texts(engine, before).unfinished == 1
    assert purge_texts(engine, before).runs == 0
    assert texts(engine) == 80
    assert purge_texts(engine, LATER).runs == 1
    assert EvalRuns(engine).get(running.id).texts_purged_at is None


def test_a_run_that_is_gone_on_with_meanwhile_keeps_its_texts(engine: Engine, scored: Scored) -> None:
    first = scored.run(1, None, status="partial", answers=answers())
    second = scored.run(2, None, status="partial", answers=answers())

    def report(made: Progress) -> None:
        if made.done == 1:
            EvalRuns(engine).adopt(second.id, "again")

    assert purge_texts(engine, LATER, report).runs == 1
    assert EvalRuns(engine).get(first.id).texts_purged_at is not None
    assert all(response.text for response in CaseResults(engine).responses(second.id))


def test_a_purge_that_is_interrupted_leaves_no_run_with_half_of_its_texts(engine: Engine, scored: Scored) -> None:
    ids = [scored.run(day, "4.100", answers=answers()).id for day in range(3)]

    def interrupt(made: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        purge_texts(engine, LATER, interrupt)
    kept = [sum(r.text is not None for r in CaseResults(engine).responses(run)) for run in ids]
    assert kept == [0, 20, 20]
    assert [EvalRuns(engine).get(run).texts_purged_at is None for run in ids] == [False, True, True]
    assert purge_texts(engine, LATER).runs == 2


def test_a_purge_waits_for_no_run_that_goes_on(engine: Engine, scored: Scored) -> None:
    scored.run(1, "4.100", answers=answers())
    going_on = scored.run(2, None, answers=answers())
    run_id = {"run": going_on.id}
    with engine.begin() as writer:
        writer.execute(text("SET LOCAL idle_in_transaction_session_timeout = '60s'"))  # a purge that waits fails
        writer.execute(
            text("UPDATE evalops.eval_runs SET status = 'running', finished_at = NULL WHERE id = :run"), run_id
        )
        insert = "INSERT INTO evalops.responses (eval_run_id, case_id, repeat, text) VALUES (:run, 'new', 0, 'hm')"
        writer.execute(text(insert), run_id)
        assert purge_texts(engine, START + timedelta(days=2, minutes=1)).runs == 1


def test_the_answers_of_a_purged_run_are_not_judged_again(
    engine: Engine, workshop: Workshop, scored: Scored, tmp_path: Path
) -> None:
    seed = scored.run(1, "4.000", run_type="manual")
    plan = plan_of(seed, workshop, tmp_path, dagster_run_id="root")
    run = of_plan(plan, engine)
    purge_texts(engine, LATER)
    said = rf"the answers of eval run {run.id} were purged on \d{{4}}-\d\d-\d\d, so that there is nothing left to judge"
    with pytest.raises(EvalOpsError, match=said):
        asyncio.run(score(plan, workshop.tools, silent))
    another = replace(plan, dagster_run_id="another")
    with pytest.raises(EvalOpsError, match=said):
        asyncio.run(score(another, workshop.tools, silent))
    with pytest.raises(EvalOpsError, match=said):
        workshop.tools.results.copy_responses(run.id, seed.id)
    assert rows(engine, "SELECT count(*) FROM evalops.scores") == [(0,)]
    assert rows(engine, "SELECT count(*) FROM evalops.eval_runs") == [(2,)], "no copy was begun"


def test_answers_that_are_purged_while_they_are_judged_are_not_judged_as_empty_ones(
    engine: Engine, workshop: Workshop, scored: Scored, tmp_path: Path
) -> None:
    plan = plan_of(scored.run(1, "4.000", run_type="manual"), workshop, tmp_path, dagster_run_id="root")
    run = of_plan(plan, engine)
    purge_texts(engine, LATER)
    with pytest.raises(EvalOpsError, match="were purged, so that there is nothing to judge"):
        asyncio.run(score(plan, workshop.tools, silent, run))  # as it was when it was looked up
    assert rows(engine, "SELECT count(*) FROM evalops.scores") == [(0,)]


@pytest.mark.parametrize("run_type", ["scheduled", "manual"])
def test_an_unfinished_run_whose_texts_are_gone_is_not_gone_on_with(
    run_type: Any, engine: Engine, workshop: Workshop, scored: Scored, tmp_path: Path
) -> None:
    plan = plan_of(scored.run(1, "4.000", feature="x"), workshop, tmp_path, run_type=run_type)
    plan = replace(plan, suite=make_suite(tmp_path, "http://127.0.0.1:9/v1", cases=2))
    run = of_plan(plan, engine, "partial")
    assert (continued(plan, EvalRuns(engine)) or run).id == run.id
    purge_texts(engine, LATER)
    assert continued(plan, EvalRuns(engine)) is None
    begun = begin(plan, EvalRuns(engine), plan.window.start)
    assert (begun.how, begun.run.id != run.id) == ("new", True)
    after = EvalRuns(engine).get(run.id)
    if run_type == "scheduled":
        assert (after.status, after.status_reason) == ("failed", "its texts were purged before the run was finished")
    with pytest.raises(EvalOpsError, match="were purged"):
        EvalRuns(engine).adopt(run.id, "too late")


def test_people_read_that_a_text_was_purged_instead_of_an_empty_one(engine: Engine, scored: Scored) -> None:
    scored.run(1, "4.000", answers=answers())
    last = scored.run(2, "4.000", answers=answers(of={"case-07": 2.0}))
    CaseResults(engine).save_responses(last.id, [Response("late", 0, error_class="Timeout", error_text="no answer")])
    purge_texts(engine, LATER)
    found = most_moved(engine, EvalRuns(engine).get(last.id), ())
    assert found is not None
    (case, *_) = found.cases
    assert (case.case_id, case.answer_before, case.answer_after, case.why) == ("case-07", PURGED, PURGED, PURGED)
    late = CaseResults(engine).responses(last.id, ["late"])[0]
    assert (late.error_class, late.error_text, late.is_purged) == ("Timeout", None, False)


def test_a_mail_that_was_sent_goes_and_one_that_is_due_stays(engine: Engine, scored: Scored) -> None:
    told = rules()
    scored.runs(["4.200", "3.600"])
    detect(engine, told, NOW)
    deliver(engine, told, Provider(), lambda: NOW)
    scored.runs(["4.200", "3.600"], feature="other")
    detect(engine, told, NOW)
    due, sent = Outbox(engine).listed()
    Outbox(engine).keep_rendered(due.id, sent.rendered or {})
    assert purge_texts(engine, LATER).mails == 1
    assert Outbox(engine).get(due.id).rendered is not None
    shown = message_file(engine, sent.id, told, NOW)
    assert (shown.was_purged, shown.mail, shown.message.state) == (True, None, "sent")
    assert deliver(engine, told, Provider(), lambda: NOW).sent == 1, "the other one goes out as ever"


def test_a_purged_mail_that_was_given_up_is_composed_anew_when_it_is_sent_again(engine: Engine, scored: Scored) -> None:
    told = rules()
    scored.runs(["4.200", "3.600"])
    detect(engine, told, NOW)
    (message,) = Outbox(engine).listed()
    Outbox(engine).keep_rendered(message.id, {"subject": "s"})
    Outbox(engine).ended(message.id, "dead", "refused")
    assert purge_texts(engine, LATER).mails == 1
    assert not message_file(engine, message.id, told, NOW).was_purged
    revived = Outbox(engine).revive(message.id, None, NOW)
    assert (revived.rendered, revived.texts_purged_at) == (None, None)
    provider = Provider()
    assert deliver(engine, told, provider, lambda: NOW).sent == 1
    assert "explain" in provider.asked[0][0].subject


def test_old_judgments_kept_for_runs_by_hand_are_forgotten(engine: Engine) -> None:
    with engine.begin() as connection:
        kept = [Entry(key, "judge", Judgment("judge-1", {"a": (4.0, "because")})) for key in ("old", "new")]
        JudgeCache(engine, 30).keep(kept, connection)
        connection.execute(text("UPDATE evalops.judge_cache SET created_at = '2020-01-01' WHERE key = 'old'"))
    assert purge_texts(engine, datetime.fromisoformat("2021-01-01T00:00:00+00:00")).judgments == 1
    assert rows(engine, "SELECT key FROM evalops.judge_cache") == [("new",)]


def test_more_days_than_the_calendar_has_are_nothing(engine: Engine) -> None:
    assert days_before(999_999_999, NOW) is None
    assert days_before(30, NOW) == NOW - timedelta(days=30)
