"""What the mails say of drift incidents, from days and traces as they are stored."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete

from evalops_core.domain.drift.day import Far
from evalops_core.domain.mail import Mail, Sent
from evalops_core.domain.suite import DriftSpec, Suite
from evalops_core.mail.facts import DriftItem, DriftPoint, FarPrompt, Firing, Reminder, ReminderItem, Resolved
from evalops_core.run.alert_rules import AlertRules, FeatureAlerts
from evalops_core.run.deliver import deliver, preview
from evalops_core.run.detect import detect
from evalops_core.run.letters import letter_of
from evalops_core.store.alerting import alerting
from evalops_core.store.outbox import Message, Outbox
from evalops_core.store.tables import DRIFT_CENTROIDS, LLM_TRACES
from tests.run.drift.drifted import QUIET, Drifted, at
from tests.run.scored import NOW, TEAM, Scored

FAR = (Far("trace-9", 0.8), Far("trace-4", 0.7))


@pytest.fixture
def drifted(engine: Engine) -> Drifted:
    return Drifted(engine)


def told(*, in_suite: bool = True, in_mails: bool = True) -> AlertRules:
    """Whether texts may be shown by the suite's word about drift, and by that about mails."""
    suite = Suite(feature="explain", cases=(), scorers=(), folder=Path(), drift=DriftSpec(include_texts=in_suite))
    feature = FeatureAlerts(recipients=(TEAM,), include_texts=in_mails, suite=suite)
    return AlertRules(features={"explain": feature}, ui_url="http://ui.example")


def newest(engine: Engine) -> Message:
    return Outbox(engine).listed()[0]


def fired(engine: Engine, rules: AlertRules) -> DriftItem:
    """What the only message of a drift says."""
    letter = letter_of(newest(engine), engine, rules, NOW)
    assert isinstance(letter, Firing)
    (item,) = letter.items
    assert isinstance(item, DriftItem)
    return item


def test_a_drift_is_told_of_with_the_day_that_opened_it(engine: Engine, drifted: Drifted) -> None:
    incident = drifted.incident(farthest=FAR)
    assert replace(fired(engine, told(in_suite=False)), points=()) == DriftItem(
        incident_id=incident.id,
        feature="explain",
        day=date(2026, 11, 7),
        drift=0.231,
        threshold=0.15,
        rule="fixed",
        alpha=None,
        days_in_a_row=2,
        n=50,
        baseline_days=tuple(date(2026, 11, day) for day in range(1, 6)),
        embedding_model="embed-small",
        why="drift 0.231 is above 0.150, 2 days in a row",
        points=(),
        farthest=(
            FarPrompt(trace_id="trace-9", distance=0.8, text=None),
            FarPrompt(trace_id="trace-4", distance=0.7, text=None),
        ),
        texts_included=False,
        asset_url="http://ui.example/assets/explain/input_drift?view=partitions&partition=2026-11-07",
    )


def test_the_picture_has_the_days_that_were_decided_up_to_that_day_and_no_others(
    engine: Engine, drifted: Drifted
) -> None:
    drifted.days(QUIET)
    drifted.day(5, 0.9, n=3)
    drifted.days([0.19, 0.231, 0.5], first_day=8)
    points = fired(engine, told()).points
    assert [point.day.day for point in points] == [1, 2, 3, 4, 5, 6, 9, 10], "7 and 8 are missing, 11 is later"
    assert points[5] == DriftPoint(day=date(2026, 11, 6), drift=None, threshold=None, state="insufficient")
    assert points[-1] == DriftPoint(day=date(2026, 11, 10), drift=0.231, threshold=0.15, state="alerting")


def test_the_picture_reaches_back_thirty_days(engine: Engine, drifted: Drifted) -> None:
    drifted.days([0.03] * 40)
    drifted.days([0.19, 0.231], first_day=40)
    days = [point.day for point in fired(engine, told()).points]
    assert len(days) == 30
    assert days[-1] - days[0] == timedelta(days=29)


def test_what_was_asked_is_shown_where_the_suite_and_the_mails_allow_it(engine: Engine, drifted: Drifted) -> None:
    drifted.asked("trace-9", "Write my tax return.")
    drifted.incident(farthest=FAR)
    item = fired(engine, told())
    assert item.texts_included
    assert [prompt.text for prompt in item.farthest] == ["Write my tax return.", None], "retention took the other"
    with engine.begin() as connection:
        connection.execute(delete(LLM_TRACES))
    assert [prompt.text for prompt in fired(engine, told()).farthest] == [None, None]


@pytest.mark.parametrize(
    "rules",
    [told(in_suite=False), told(in_mails=False), AlertRules(ui_url="http://ui.example")],
    ids=["the suite", "the mails", "no suite"],
)
def test_what_was_asked_is_kept_out_where_either_says_so_or_there_is_no_suite(
    engine: Engine, drifted: Drifted, rules: AlertRules
) -> None:
    drifted.asked("trace-9", "SECRET")
    drifted.incident(farthest=FAR)
    item = fired(engine, rules)
    assert not item.texts_included
    assert [prompt.trace_id for prompt in item.farthest] == ["trace-9", "trace-4"]
    mail = preview(newest(engine), engine, rules, NOW)
    assert mail is not None
    assert "SECRET" not in mail.html + mail.text
    assert "drift: {include_texts: true}" in mail.text


def test_a_drift_whose_days_are_gone_is_told_of_without_numbers(engine: Engine, drifted: Drifted) -> None:
    drifted.incident()
    with engine.begin() as connection:
        connection.execute(delete(DRIFT_CENTROIDS))
    item = fired(engine, told())
    assert (item.drift, item.threshold, item.day, item.n, item.points, item.farthest) == (
        None,
        None,
        None,
        None,
        (),
        (),
    )
    assert item.asset_url == "http://ui.example/assets/explain/input_drift"
    mail = preview(newest(engine), engine, told(), NOW)
    assert mail is not None
    assert mail.subject == "[EvalOps] Input drift: explain"
    assert "their rows are gone" in mail.text
    assert "None" not in mail.html + mail.text


def test_a_drift_that_is_over_is_told_with_the_day_that_ended_it(engine: Engine, drifted: Drifted) -> None:
    drifted.incident()
    Outbox(engine).sent(newest(engine).id, "id", at(6))
    drifted.days([0.25, 0.3, 0.082, 0.05], first_day=7)
    letter = letter_of(newest(engine), engine, told(), NOW)
    assert isinstance(letter, Resolved)
    (item,) = letter.items
    assert (item.kind, item.window, item.drift, item.threshold, item.days) == ("drift", "2026-11-10", 0.082, 0.15, 3)
    assert (item.opened_at, item.resolved_at) == (at(6), at(9))
    assert item.asset_url.endswith("/explain/input_drift?view=partitions&partition=2026-11-10")


def test_a_reminder_of_a_drift_tells_what_was_last_compared(engine: Engine, drifted: Drifted) -> None:
    drifted.incident(more=[0.25])
    incident = drifted.day(8, 0.9, n=2)
    assert incident is not None
    letter = letter_of(replace(newest(engine), transition="reminder"), engine, told(), NOW)
    assert letter == Reminder(
        items=(
            ReminderItem(
                incident_id=incident.id,
                feature="explain",
                model_id=None,
                kind="drift",
                opened_at=at(6),
                reference=None,
                current=None,
                asset_url="http://ui.example/assets/explain/input_drift?view=partitions&partition=2026-11-08",
                window="2026-11-08",
                drift=0.25,
                threshold=0.15,
                days=3,
            ),
        ),
        ui_url="http://ui.example",
        today=NOW.date(),
    )


def test_a_fall_and_a_drift_whose_silence_ends_share_a_mail(engine: Engine, drifted: Drifted) -> None:
    Scored(engine).runs(["4.200", "3.600"])
    detect(engine, told(), NOW)
    drifted.incident()
    fall, drift = Outbox(engine).listed()[::-1]
    letter = letter_of(replace(fall, incidents=(*drift.incidents, *fall.incidents)), engine, told(), NOW)
    assert isinstance(letter, Firing)
    assert [type(item).__name__ for item in letter.ordered] == ["RegressionItem", "DriftItem"]


def test_a_drift_s_mail_is_handed_over_as_any_other(engine: Engine, drifted: Drifted) -> None:
    drifted.incident(farthest=FAR)
    sent: list[Mail] = []

    class Provider:
        def send(self, mail: Mail, recipient: str, key: str) -> Sent:
            sent.append(mail)
            return Sent("provider-1")

    deliver(engine, told(), Provider(), lambda: NOW)
    (mail,) = sent
    assert mail.subject == "[EvalOps] Input drift: explain 0.231 (threshold 0.150)"
    assert [image.cid for image in mail.images] == ["drift-1"]


def test_an_accepted_drift_has_no_day_that_ended_it(engine: Engine, drifted: Drifted) -> None:
    incident = drifted.incident()
    Outbox(engine).sent(newest(engine).id, "id", at(6))
    with alerting(engine) as tables:
        tables.incidents.close(incident.id, "accepted", at(7), reason="a new use", by="ann")
    drifted.day(8, 0.02)
    letter = letter_of(replace(newest(engine), transition="resolved"), engine, told(), NOW)
    assert isinstance(letter, Resolved)
    assert (letter.items[0].window, letter.items[0].drift, letter.items[0].days) == (None, None, 1)
