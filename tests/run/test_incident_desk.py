"""What people do with incidents, and that whoever comes too late is told so."""

import threading
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from evalops_core.domain.incident import Incident
from evalops_core.domain.suite import RegressionSpec
from evalops_core.errors import ConfigError
from evalops_core.run.alert_rules import AlertRules, FeatureAlerts
from evalops_core.run.detect import detect
from evalops_core.run.incident_desk import (
    accept,
    acknowledge,
    how_it_ended,
    incident_features,
    incident_file,
    list_incidents,
    silence,
    unsilence,
)
from evalops_core.run.watch import watch
from evalops_core.store.alerting import alerting, reading
from evalops_core.store.drift import DriftDays
from evalops_core.store.outbox import NOBODY, Outbox
from tests.builders import make_suite
from tests.run.drift.drifted import Drifted, at
from tests.run.scored import NOW, START, TEAM, Scored, rules

WEEK = timedelta(days=7)


@pytest.fixture
def scored(engine: Engine) -> Scored:
    return Scored(engine)


@pytest.fixture
def drifted(engine: Engine) -> Drifted:
    return Drifted(engine)


@pytest.fixture
def regression(engine: Engine, scored: Scored) -> Incident:
    """From 4.200 to 3.600, then 3.500."""
    scored.runs(["4.200", "3.600", "3.500"], dagster_run="root-1")
    detect(engine, rules(), NOW)
    return only(engine)


def only(engine: Engine) -> Incident:
    (listed,) = list_incidents(engine, only_open=False)
    return listed.incident


def no_data(engine: Engine, tmp_path: Path) -> Incident:
    feature = FeatureAlerts(suite=make_suite(tmp_path, "http://127.0.0.1:9/v1"))
    told = AlertRules(features={"orders": feature})
    watch(engine, told, NOW - WEEK, scheduled={"orders": START})
    watch(engine, told, NOW, scheduled={"orders": START})
    return only(engine)


@pytest.mark.usefixtures("regression")
def test_the_list_counts_the_runs_and_has_the_newest_first(engine: Engine, scored: Scored) -> None:
    scored.runs(["5.000", "4.000"], feature="orders")
    detect(engine, rules(), NOW)
    found = list_incidents(engine)
    assert [(listed.incident.feature, listed.runs) for listed in found] == [("orders", 1), ("explain", 2)]
    assert [listed.incident.feature for listed in list_incidents(engine, limit=1)] == ["orders"]
    assert [listed.incident.feature for listed in list_incidents(engine, feature="explain")] == ["explain"]
    assert incident_features(engine) == ["explain", "orders"]


def test_the_file_has_what_the_incident_saw_and_what_was_sent_about_it(
    engine: Engine, regression: Incident, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, "http://127.0.0.1:9/v1", feature="explain")
    told = rules(suite=suite)
    found = incident_file(engine, regression.id, told)
    assert (found.incident, found.runs) == (regression, 2)
    assert [(seen.partition_key, seen.current, seen.outcome) for seen in found.verdicts] == [
        ("2026-11-03", Decimal("3.500"), "stable"),
        ("2026-11-02", Decimal("3.600"), "regressed"),
    ]
    assert [(message.transition, message.recipient) for message in found.messages] == [("firing", TEAM)]
    assert (found.opened_window, found.reference_window, found.resolved_window) == ("2026-11-02", "2026-11-01", None)
    assert found.recovers_at == Decimal("3.95")
    assert found.links == {
        "asset": "http://ui.example/assets/explain/eval_score?view=partitions&partition=2026-11-02",
        "checks": "http://ui.example/assets/explain/eval_score?view=checks",
        "Dagster run": "http://ui.example/runs/root-1",
    }
    assert incident_file(engine, regression.id, rules()).recovers_at is None, "nobody knows the drop without a suite"


def test_an_incident_that_there_is_not_is_named(engine: Engine) -> None:
    with pytest.raises(ConfigError, match=r"there is no incident 7; `evalops incidents list --all` shows"):
        incident_file(engine, 7, rules())
    with pytest.raises(ConfigError, match="there is no incident 7"):
        acknowledge(engine, 7, "ann", NOW)


def test_acknowledging_notes_who_and_when_and_leaves_the_state(engine: Engine, regression: Incident) -> None:
    acknowledge(engine, regression.id, "ann", NOW)
    assert only(engine) == replace(regression, acknowledged_at=NOW, acknowledged_by="ann")


def test_an_accepted_level_ends_the_incident_in_silence_and_is_what_later_runs_are_compared_with(
    engine: Engine, scored: Scored, regression: Incident
) -> None:
    before = Outbox(engine).listed()
    closed = accept(engine, regression.id, "shorter on purpose", "ann", NOW)
    assert (closed.state, closed.resolution, closed.resolved_at) == ("resolved", "accepted", NOW)
    assert (closed.reason, closed.closed_by, closed.resolved_by_run_id) == ("shorter on purpose", "ann", None)
    assert list_incidents(engine) == []
    scored.run(3, "3.400")
    detect(engine, rules(), NOW)
    assert list_incidents(engine) == [], "3.4 is not a regression against 3.5"
    assert Outbox(engine).listed() == before, "nobody is told"
    scored.run(4, "2.900")
    detect(engine, rules(), NOW)
    (fresh,) = list_incidents(engine)
    assert (fresh.incident.reference, fresh.incident.current) == (Decimal("3.400"), Decimal("2.900"))


def test_data_that_does_not_come_is_no_level_to_accept(engine: Engine, tmp_path: Path) -> None:
    missing = no_data(engine, tmp_path)
    with pytest.raises(ConfigError, match=r"no level to accept.*evalops incidents silence"):
        accept(engine, missing.id, "it is retired", "ann", NOW)
    assert only(engine) == missing


def test_the_list_counts_the_days_of_a_drift_and_knows_its_last(engine: Engine, drifted: Drifted) -> None:
    drifted.incident(more=[0.25])
    drifted.day(8, 0.9, n=2)
    drifted.incident(feature="orders")
    orders, explain = list_incidents(engine)
    assert (orders.incident.feature, orders.runs) == ("orders", 1)
    assert (explain.incident.kind, explain.incident.reference, explain.incident.current) == ("drift", None, None)
    assert explain.runs == 3
    assert explain.drift is not None
    assert explain.drift.last is not None
    assert (explain.drift.last.drift, f"{explain.drift.last.day}") == (0.25, "2026-11-08")


@pytest.mark.usefixtures("regression")
def test_a_regression_is_listed_without_days(engine: Engine) -> None:
    (listed,) = list_incidents(engine)
    assert listed.drift is None


def test_the_file_of_a_drift_has_its_days_and_the_one_that_ended_it(engine: Engine, drifted: Drifted) -> None:
    opened = drifted.incident(more=[0.25])
    found = incident_file(engine, opened.id, rules())
    assert (found.runs, found.verdicts, found.recovers_at, found.reference_window) == (2, (), None, None)
    assert (found.opened_window, found.resolved_window) == ("2026-11-07", None)
    assert found.drift is not None
    assert [(f"{day.day}", day.drift, day.state) for day in found.drift.days] == [
        ("2026-11-07", 0.231, "alerting"),
        ("2026-11-08", 0.25, "alerting"),
    ]
    assert [message.transition for message in found.messages] == ["firing"]
    link = "http://ui.example/assets/explain/input_drift?view=partitions&partition=2026-11-07"
    assert found.links == {"asset": link}
    drifted.day(8, 0.05)
    assert incident_file(engine, opened.id, rules()).resolved_window == "2026-11-09"
    assert how_it_ended(only(engine)) == "over since 2026-11-10 01:00 UTC: what users ask is as before again"


def test_an_accepted_drift_is_over_and_its_days_are_what_later_ones_are_compared_with(
    engine: Engine, drifted: Drifted
) -> None:
    opened = drifted.incident(more=[0.25, 0.26])
    before = Outbox(engine).listed()
    closed = accept(engine, opened.id, "a new use", "ann", NOW)
    assert (closed.state, closed.resolution, closed.reason, closed.closed_by) == (
        "resolved",
        "accepted",
        "a new use",
        "ann",
    )
    drifted.day(9, 0.04)
    with reading(engine) as tables:
        newest = DriftDays(tables.connection).recent("explain", 1)[0]
    assert [f"{day}" for day in newest.baseline_days] == ["2026-11-07", "2026-11-08", "2026-11-09"]
    assert list_incidents(engine) == []
    assert Outbox(engine).listed() == before, "nobody is told"


@pytest.mark.parametrize(("kind", "kept"), [("drift", True), ("regression", False)])
def test_accepting_a_drift_leaves_the_slide_of_the_scores_alone(
    engine: Engine, drifted: Drifted, scored: Scored, kind: str, kept: bool
) -> None:
    (run,) = scored.runs(["4.200"])
    with alerting(engine) as tables:
        tables.statistics.keep_slide("explain", run.id, {"sum": 1.5})
    drift = drifted.incident()
    with alerting(engine) as tables:
        fall = tables.incidents.open_one("regression", "explain", "small-1", NOW, reference=Decimal(4))
    assert fall is not None
    accept(engine, drift.id if kind == "drift" else fall.id, "meant", "ann", NOW)
    with reading(engine) as tables:
        assert (tables.statistics.slide("explain") is not None) == kept


def test_a_silenced_drift_is_quiet_and_told_of_when_that_ends(engine: Engine, drifted: Drifted) -> None:
    opened = drifted.incident()
    silence(engine, opened.id, NOW + WEEK, at(7))
    accept(engine, opened.id, "meant", "ann", at(7))
    drifted.days([0.03, 0.03, 0.19, 0.231], first_day=20)
    (listed,) = list_incidents(engine)
    assert (listed.incident.kind, listed.incident.state) == ("drift", "silenced")
    assert len(Outbox(engine).listed()) == 1, "that of the first one"
    _, messages = unsilence(engine, listed.incident.id, rules(), NOW)
    assert messages == 1


def test_a_silence_holds_for_the_next_of_its_kind_until_it_ends(
    engine: Engine, scored: Scored, regression: Incident
) -> None:
    silence(engine, regression.id, NOW + WEEK, NOW)
    accept(engine, regression.id, "meant", "ann", NOW)
    scored.run(3, "2.000")
    detect(engine, rules(), NOW)
    (listed,) = list_incidents(engine)
    assert (listed.incident.state, listed.incident.silenced_until) == ("silenced", NOW + WEEK)
    assert [message.transition for message in Outbox(engine).listed()] == ["firing"], "that of the first one"


def test_a_silence_that_would_be_over_is_refused(engine: Engine, regression: Incident) -> None:
    with pytest.raises(ConfigError, match="2026-12-01 09:30 UTC is over"):
        silence(engine, regression.id, NOW, NOW)
    assert only(engine) == regression


def test_ending_a_silence_tells_those_who_were_told_of_nothing(
    engine: Engine, scored: Scored, regression: Incident
) -> None:
    silence(engine, regression.id, NOW + WEEK, NOW)
    accept(engine, regression.id, "meant", "ann", NOW)
    scored.run(3, "2.000")
    detect(engine, rules(), NOW)
    (listed,) = list_incidents(engine)
    loud, messages = unsilence(engine, listed.incident.id, rules(), NOW)
    assert (loud.state, loud.silenced_until, messages) == ("firing", None, 1)
    newest = Outbox(engine).listed()[0]
    assert (newest.transition, newest.recipient, newest.incidents) == ("firing", TEAM, (loud.id,))
    assert watch(engine, rules(), NOW, scheduled={}).messages == 0, "the sensor has nothing to make up for"


def test_ending_a_silence_tells_nobody_twice(engine: Engine, regression: Incident) -> None:
    silence(engine, regression.id, NOW + WEEK, NOW)
    assert unsilence(engine, regression.id, rules(), NOW)[1] == 0
    assert only(engine) == regression
    with pytest.raises(ConfigError, match="is not silenced; nothing to do"):
        unsilence(engine, regression.id, rules(), NOW)


def test_where_nobody_is_to_be_told_the_message_is_kept(engine: Engine, scored: Scored, regression: Incident) -> None:
    silence(engine, regression.id, NOW + WEEK, NOW)
    accept(engine, regression.id, "meant", "ann", NOW)
    scored.run(3, "2.000")
    detect(engine, rules(), NOW)
    (listed,) = list_incidents(engine)
    nobody = AlertRules(others=FeatureAlerts(rules=RegressionSpec()))
    unsilence(engine, listed.incident.id, nobody, NOW)
    newest = Outbox(engine).listed()[0]
    assert (newest.recipient, newest.state) == (NOBODY, "not_configured")


def test_what_is_over_is_left_alone_and_says_since_when_and_how(engine: Engine, regression: Incident) -> None:
    accept(engine, regression.id, "shorter on purpose", "ann", NOW)
    closed = only(engine)
    said = r"incident 1 is over since 2026-12-01 09:30 UTC: it was accepted by ann \(shorter on purpose\)"
    with pytest.raises(ConfigError, match=said):
        acknowledge(engine, regression.id, "bob", NOW)
    with pytest.raises(ConfigError, match=said):
        silence(engine, regression.id, NOW + WEEK, NOW)
    with pytest.raises(ConfigError, match=said):
        unsilence(engine, regression.id, rules(), NOW)
    with pytest.raises(ConfigError, match=said):
        accept(engine, regression.id, "again", "bob", NOW)
    assert only(engine) == closed


def test_what_recovered_says_so_and_an_open_one_has_not_ended(
    engine: Engine, scored: Scored, regression: Incident
) -> None:
    with pytest.raises(ValueError, match="not over"):
        how_it_ended(regression)
    scored.run(3, "4.200")
    detect(engine, rules(), NOW)
    assert how_it_ended(only(engine)) == "over since 2026-12-01 09:30 UTC: the score recovered"
    assert incident_file(engine, regression.id, rules()).resolved_window == "2026-11-04"


def test_an_incident_that_the_sensor_ends_meanwhile_is_refused_in_the_same_words(
    engine: Engine, regression: Incident
) -> None:
    """Accepting waits for the transaction in which the sensor closes it, and then sees that."""
    said: list[str] = []

    def late() -> None:
        try:
            accept(engine, regression.id, "too late", "ann", NOW)
        except ConfigError as error:
            said.append(str(error))

    thread = threading.Thread(target=late)
    with alerting(engine) as tables:
        thread.start()
        _wait_until_it_waits(engine, thread)
        tables.incidents.close(regression.id, "recovered", NOW, current=Decimal("4.200"))
    thread.join(timeout=30)
    assert said == ["incident 1 is over since 2026-12-01 09:30 UTC: the score recovered; nothing was changed"]
    with reading(engine) as tables:
        assert tables.incidents.get(regression.id).resolution == "recovered"


def _wait_until_it_waits(engine: Engine, thread: threading.Thread) -> None:
    """Until another session waits for an advisory lock of this database."""
    waiting = text(
        "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database "
        "WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"
    )
    with engine.connect() as connection:
        while connection.execute(waiting).scalar_one() == 0:
            assert thread.is_alive(), "it did not wait"
