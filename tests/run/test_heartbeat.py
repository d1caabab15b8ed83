"""Which cycles are good: decided from plain values, and read from a real database."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Engine

from evalops_core.domain.incident import Incident
from evalops_core.run.detect import detect
from evalops_core.run.heartbeat import Good, RunState, Silent, Standing, decide, look
from evalops_core.store.alerting import alerting
from evalops_core.store.cycles import Course, ScheduledRun
from evalops_core.store.mail_queue import MailQueue
from evalops_core.store.outbox import Outbox, enqueue
from tests.run.scored import START, TEAM, Scored, rules

NOW = datetime(2026, 11, 5, 2, tzinfo=timezone.utc)
MAIL = MailQueue({"sent": 3, "not_configured": 1, "due": 1}, NOW - timedelta(minutes=59))


def run(feature: str = "explain", verdict: int | None = 7, **given: Any) -> ScheduledRun:
    values: dict[str, Any] = {
        "eval_run_id": 100 + (verdict or 0),
        "partition_key": "2026-11-05",
        "interval": timedelta(hours=24),
        "status": "completed",
        "dagster_run_id": "d1",
        "judged_at": None if verdict is None else NOW - timedelta(minutes=1),
    }
    return ScheduledRun(feature=feature, verdict_id=verdict, **(values | given))


def missing(feature: str, state: Any = "firing") -> Incident:
    return Incident(id=4, kind="no_data", feature=feature, model_id=None, state=state, opened_at=NOW)


def decided(
    *runs: ScheduledRun | Course,
    told: int = 6,
    states: Mapping[str, RunState] | None = None,
    now: datetime = NOW,
    incidents: Sequence[Incident] = (),
    mail: MailQueue = MAIL,
    broken: Sequence[str] = (),
) -> Good | str:
    """The cycle, or why there is no ping."""
    courses = [each if isinstance(each, Course) else Course(each, each) for each in runs]
    known: Mapping[str, RunState] = {"d1": "succeeded"} if states is None else states
    found = decide(Standing(courses, incidents, mail, broken), told, now, known.get)
    return found.why if isinstance(found, Silent) else found


def test_a_cycle_whose_features_are_all_complete_and_judged_is_good() -> None:
    assert decided(run(), run("extract", 8)) == Good(8, ("explain", "extract"))


def test_a_cycle_of_some_features_names_those_and_looks_at_all() -> None:
    before = run("weekly", 3, dagster_run_id="d0", judged_at=NOW - timedelta(days=3))
    assert decided(run(), before) == Good(7, ("explain",))
    invalid = run("weekly", None, dagster_run_id="d0", status="invalid")
    assert decided(run(), invalid) == "weekly: its run of window 2026-11-05 is invalid"


def test_the_same_cycle_is_told_once() -> None:
    assert decided(run(), told=7) == "no new cycle"
    assert decided() == "no new cycle"


@pytest.mark.parametrize("status", ["partial", "invalid", "failed"])
def test_a_feature_whose_newest_run_is_not_complete_keeps_the_ping_away(status: Any) -> None:
    assert decided(run(), run("extract", None, status=status)) == f"extract: its run of window 2026-11-05 is {status}"


def test_a_run_without_a_verdict_is_waited_for() -> None:
    assert decided(run(), run("extract", None)) == "extract: its run of window 2026-11-05 waits for its verdict"


def test_the_dagster_run_of_the_cycle_has_to_end_well_as_far_as_it_is_known() -> None:
    words = "explain: its run of window 2026-11-05 belongs to a Dagster run that"
    assert decided(run(), states={"d1": "going on"}) == f"{words} goes on"
    assert decided(run(), states={"d1": "failed"}) == f"{words} failed"
    assert isinstance(decided(run(), states={}), Good), "one of another deployment"
    assert isinstance(decided(run(dagster_run_id=None)), Good), "one that no Dagster run has made"


def test_a_run_that_goes_on_is_judged_by_the_one_before_and_one_that_was_cut_short_is_not() -> None:
    underway = Course(run("slow", None, status="running", dagster_run_id="d2"), run("slow", 2))
    first = Course(run("slow", None, status="running", dagster_run_id="d2"), None)
    for course in (underway, first):
        assert isinstance(decided(run(), course, states={"d1": "succeeded", "d2": "going on"}), Good)
        assert decided(run(), course) == "slow: its run of window 2026-11-05 was cut short"
    assert decided(run(), underway, states={"d2": "failed"}) == "slow: its run of window 2026-11-05 was cut short"


def test_data_that_does_not_come_and_a_suite_that_cannot_be_read_keep_the_ping_away() -> None:
    assert decided(run(), incidents=[missing("extract")]) == "extract: its data does not come (incident 4)"
    assert decided(run(), broken=["extract"]) == "the suite of extract cannot be read"


def test_a_feature_that_a_person_silenced_is_left_out() -> None:
    silenced = [missing("extract", "silenced")]
    assert isinstance(decided(run(), run("extract", None, status="invalid"), incidents=silenced), Good)
    assert isinstance(decided(run(), broken=["extract"], incidents=silenced), Good)


def test_mails_that_reach_nobody_keep_the_ping_away() -> None:
    assert decided(run(), mail=MailQueue({"dead": 2}, None, 2)) == (
        "2 alert mails were given up in the last week; `evalops alerts list` shows them"
    )
    assert isinstance(decided(run(), mail=MailQueue({"dead": 2}, None)), Good), "those of long ago"
    overdue = MailQueue({"due": 1}, NOW - timedelta(minutes=61))
    assert decided(run(), mail=overdue) == "an alert mail has been due since 2026-11-05 00:59 UTC"


def test_a_ping_that_failed_is_worth_making_until_the_next_cycle_is_due() -> None:
    hourly = run(interval=timedelta(hours=1), judged_at=NOW - timedelta(minutes=60))
    assert isinstance(decided(hourly), Good)
    late = decided(hourly, now=NOW + timedelta(seconds=1))
    assert late == "the last cycle, of explain in window 2026-11-05, is too long ago"


def looked(engine: Engine, told: int, now: datetime, features: Sequence[str] = ("explain", "extract")) -> Good | str:
    found = look(engine, features, (), told, now, lambda _: None)
    return found.why if isinstance(found, Silent) else found


def test_a_regression_is_a_good_cycle_and_an_invalid_run_is_none(engine: Engine) -> None:
    scored, now = Scored(engine), START + timedelta(days=1, hours=2)
    assert looked(engine, 0, now) == "no new cycle"
    scored.runs(["4.200", "3.600"])
    assert looked(engine, 0, now) == "no new cycle", "none is judged"
    assert detect(engine, rules(), now).regressed == 1
    assert looked(engine, 0, now) == Good(2, ("explain",))
    assert looked(engine, 2, now) == "no new cycle"
    assert looked(engine, 9, now) == Good(2, ("explain",)), "told of another database's"
    scored.run(1, None, feature="extract", status="invalid")
    assert looked(engine, 0, now) == "extract: its run of window 2026-11-02 is invalid"
    assert looked(engine, 0, now, ["explain"]) == Good(2, ("explain",)), "a feature without a suite does not count"
    scored.run(2, "4.000", feature="extract")
    detect(engine, rules(), now)
    assert looked(engine, 0, now) == Good(3, ("explain", "extract"))


def test_mail_that_is_owed_counts_from_when_it_was_first_tried_and_test_mails_do_not(engine: Engine) -> None:
    scored, outbox = Scored(engine), Outbox(engine)
    judged = START + timedelta(hours=2)
    scored.run(0, "4.200")
    detect(engine, rules(), judged)
    with alerting(engine) as tables:
        incident = tables.incidents.open_one("drift", "other", None, judged)
        assert incident is not None
        message = enqueue(tables.connection, "firing", TEAM, [incident.id], judged)
        probe = enqueue(tables.connection, "test", TEAM, [], judged)
    assert message is not None
    assert probe is not None
    outbox.ended(probe, "dead", "refused")
    assert isinstance(looked(engine, 0, judged + timedelta(minutes=30)), Good)
    outbox.attempted(message, judged)
    later = judged + timedelta(minutes=61)
    outbox.again(message, later + timedelta(minutes=10), "no answer")
    assert looked(engine, 0, later) == "an alert mail has been due since 2026-11-01 02:00 UTC"
    outbox.ended(message, "dead", "refused")
    assert str(looked(engine, 0, later)).startswith("1 alert mails were given up in the last week")
    outbox.revive(message, None, later)
    assert isinstance(looked(engine, 0, later), Good)
