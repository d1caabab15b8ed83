"""What time alone does: data that does not come, silences that end, reminders."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from evalops_core.domain.suite import Suite
from evalops_core.run.alert_rules import AlertRules, FeatureAlerts
from evalops_core.run.detect import detect
from evalops_core.run.watch import Watched, watch
from evalops_core.store.alerting import alerting, reading
from evalops_core.store.outbox import Outbox
from tests.run.drift.drifted import Drifted, at
from tests.run.scored import NOW, TEAM, Scored, rules

LONG_AGO = NOW - timedelta(days=100)


@pytest.fixture
def scored(engine: Engine) -> Scored:
    return Scored(engine)


def suite(feature: str, interval_hours: int = 24) -> Suite:
    return Suite(feature=feature, cases=(), scorers=(), folder=Path(), interval_hours=interval_hours)


def watched(*features: str, reminder: bool = False) -> AlertRules:
    return AlertRules(
        features={name: FeatureAlerts(recipients=(TEAM,), reminder=reminder, suite=suite(name)) for name in features}
    )


def look(engine: Engine, now: datetime, *features: str, since: datetime = LONG_AGO) -> Watched:
    return watch(engine, watched(*features), now, scheduled=dict.fromkeys(features, since))


def kinds(engine: Engine) -> list[tuple[str, str, str]]:
    with reading(engine) as tables:
        return [(one.kind, one.feature, one.state) for one in tables.incidents.listed(only_open=False)[::-1]]


def test_a_feature_whose_runs_never_start_lacks_data_after_one_and_a_half_intervals(engine: Engine) -> None:
    assert look(engine, NOW, "explain").lacking == (), "it is watched from now on"
    assert look(engine, NOW + timedelta(hours=36), "explain").lacking == ()
    late = look(engine, NOW + timedelta(hours=36, minutes=1), "explain")
    assert late == Watched(lacking=("explain",), opened=1, messages=1)
    assert kinds(engine) == [("no_data", "explain", "firing")]
    assert [(message.transition, message.recipient) for message in Outbox(engine).listed()] == [("firing", TEAM)]


def test_it_is_told_once_however_long_it_lasts(engine: Engine) -> None:
    look(engine, NOW, "explain")
    for hours in (40, 41, 80, 800):
        look(engine, NOW + timedelta(hours=hours), "explain")
    assert len(Outbox(engine).listed()) == 1


@pytest.mark.parametrize("status", ["failed", "invalid", "partial"])
def test_runs_that_fail_or_are_not_valid_are_no_data(engine: Engine, scored: Scored, status: str) -> None:
    scored.run(26, "4.200")
    look(engine, NOW - timedelta(days=20), "explain")
    scored.run(29, "4.200", status=status)  # pyright: ignore[reportArgumentType]  # parametrized over the literals
    assert look(engine, NOW, "explain").lacking == ("explain",)


def test_a_run_by_hand_is_no_data(engine: Engine, scored: Scored) -> None:
    look(engine, NOW - timedelta(days=20), "explain")
    scored.run(29, "4.200", run_type="manual")
    assert look(engine, NOW, "explain").lacking == ("explain",)


def test_a_valid_scheduled_result_is_data(engine: Engine, scored: Scored) -> None:
    look(engine, NOW - timedelta(days=20), "explain")
    scored.run(29, "1.000")
    assert look(engine, NOW, "explain").lacking == ()


def test_a_schedule_that_was_just_switched_on_is_given_time(engine: Engine) -> None:
    look(engine, NOW - timedelta(days=20), "explain")
    assert look(engine, NOW, "explain", since=NOW - timedelta(hours=30)).lacking == ()


def test_what_is_not_scheduled_lacks_nothing(engine: Engine) -> None:
    assert watch(engine, watched("explain"), NOW + timedelta(days=9), scheduled={}) == Watched((), 0, 0)


def test_several_that_lack_data_at_once_share_one_mail(engine: Engine) -> None:
    features = ("explain", "extract", "translate")
    look(engine, NOW, *features)
    assert look(engine, NOW + timedelta(days=3), *features).opened == 3
    (message,) = Outbox(engine).listed()
    assert len(message.incidents) == 3


def test_data_that_comes_back_resolves_it_and_the_next_absence_is_told_anew(engine: Engine, scored: Scored) -> None:
    look(engine, NOW - timedelta(days=20), "explain")
    look(engine, NOW - timedelta(days=10), "explain")
    (firing,) = Outbox(engine).listed()
    Outbox(engine).sent(firing.id, "id", NOW)
    scored.run(28, "4.200")
    assert detect(engine, rules(), NOW).recovered == 1
    assert [message.transition for message in Outbox(engine).listed()] == ["resolved", "firing"]
    look(engine, NOW + timedelta(days=5), "explain")
    assert [state for _, _, state in kinds(engine)] == ["resolved", "firing"]


def test_an_absence_that_nobody_waits_for_any_more_is_over_and_nobody_is_told(engine: Engine) -> None:
    look(engine, NOW, "explain")
    look(engine, NOW + timedelta(hours=40), "explain")
    off = NOW + timedelta(hours=40)
    watch(engine, watched("explain"), off + timedelta(hours=36), scheduled={})
    assert kinds(engine) == [("no_data", "explain", "firing")]
    watch(engine, watched("explain"), off + timedelta(hours=36, minutes=1), scheduled={})
    assert kinds(engine) == [("no_data", "explain", "resolved")]
    assert [message.transition for message in Outbox(engine).listed()] == ["firing"]


def test_a_deployment_whose_schedule_is_off_leaves_alone_what_another_one_watches(engine: Engine) -> None:
    look(engine, NOW, "explain")
    for hours in (40, 80, 120):
        look(engine, NOW + timedelta(hours=hours), "explain")
        watch(engine, watched("explain"), NOW + timedelta(hours=hours + 1), scheduled={})
    assert kinds(engine) == [("no_data", "explain", "firing")]


def test_what_began_in_silence_is_told_when_the_silence_ends(engine: Engine, scored: Scored) -> None:
    scored.runs(["4.200", "3.600"])
    detect(engine, rules(), NOW)
    with reading(engine) as tables:
        (first,) = tables.incidents.listed()
    with alerting(engine) as tables:
        tables.incidents.silence(first.id, NOW + timedelta(days=3))
    scored.runs(["4.200", "3.500"], first_day=2)
    detect(engine, rules(), NOW)
    before = len(Outbox(engine).listed())
    watch(engine, watched("explain"), NOW + timedelta(days=2), scheduled={})
    assert len(Outbox(engine).listed()) == before
    assert watch(engine, watched("explain"), NOW + timedelta(days=3), scheduled={}).messages == 1
    assert kinds(engine)[-1] == ("regression", "explain", "firing")
    watch(engine, watched("explain"), NOW + timedelta(days=4), scheduled={})
    assert len(Outbox(engine).listed()) == before + 1


def test_what_was_told_before_it_was_silenced_is_not_told_again_when_the_silence_ends(
    engine: Engine, scored: Scored
) -> None:
    scored.runs(["4.200", "3.600"])
    detect(engine, rules(), NOW)
    with alerting(engine) as tables:
        (first,) = tables.incidents.listed()
        tables.incidents.silence(first.id, NOW + timedelta(days=1))
    assert watch(engine, watched("explain"), NOW + timedelta(days=2), scheduled={}).messages == 0
    assert kinds(engine) == [("regression", "explain", "firing")]


def test_a_reminder_comes_once_a_day_where_a_suite_wants_it_until_somebody_takes_it_on(
    engine: Engine, scored: Scored
) -> None:
    scored.runs(["4.200", "3.600"])
    detect(engine, rules(), NOW)
    plain, wanted = watched("explain"), watched("explain", reminder=True)
    assert watch(engine, plain, NOW + timedelta(days=2), scheduled={}).messages == 0
    told = [
        watch(engine, wanted, NOW + timedelta(hours=hours), scheduled={}).messages for hours in (23, 24, 30, 47, 48)
    ]
    assert told == [0, 1, 0, 0, 1]
    with alerting(engine) as tables:
        (incident,) = tables.incidents.listed()
        tables.incidents.acknowledge(incident.id, "ada", NOW)
    assert watch(engine, wanted, NOW + timedelta(days=9), scheduled={}).messages == 0


def test_a_drift_is_brought_to_mind_as_a_fall_is(engine: Engine) -> None:
    incident = Drifted(engine).incident()
    wanted = watched("explain", reminder=True)
    told = [watch(engine, wanted, at(6) + timedelta(hours=hours), scheduled={}).messages for hours in (23, 24, 47, 48)]
    assert told == [0, 1, 0, 1]
    newest = Outbox(engine).listed()[0]
    assert (newest.transition, newest.incidents) == ("reminder", (incident.id,))
    with alerting(engine) as tables:
        tables.incidents.acknowledge(incident.id, "ada", NOW)
    assert watch(engine, wanted, at(16), scheduled={}).messages == 0


def test_a_drift_s_silence_ends_and_it_does_not_end_with_the_schedule(engine: Engine) -> None:
    incident = Drifted(engine).incident()
    with alerting(engine) as tables:
        tables.incidents.silence(incident.id, at(8))
    assert watch(engine, watched("explain"), at(9), scheduled={}).messages == 0, "it was told of before"
    watch(engine, watched("explain"), at(90), scheduled={})
    assert kinds(engine) == [("drift", "explain", "firing")]
