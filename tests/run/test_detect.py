"""From new scores to verdicts, incidents and messages: what is made, once, and when nothing is."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from evalops_core.domain.incident import Incident
from evalops_core.run.alert_rules import AlertRules
from evalops_core.run.detect import Looked, detect, standing_verdict, verdicts_since
from evalops_core.store.alerting import alerting, reading
from evalops_core.store.outbox import Message, Outbox
from evalops_core.store.schema import downgrade, upgrade
from tests.run.scored import NOW, TEAM, Scored, rules


@pytest.fixture
def scored(engine: Engine) -> Scored:
    return Scored(engine)


def look(engine: Engine) -> Looked:
    return detect(engine, rules(), NOW)


def incidents(engine: Engine) -> list[Incident]:
    """Oldest first, closed ones included."""
    with reading(engine) as tables:
        return tables.incidents.listed(only_open=False)[::-1]


def messages(engine: Engine) -> list[Message]:
    return Outbox(engine).listed()[::-1]


def deliver_all(engine: Engine) -> None:
    """As if the provider had taken everything."""
    for message in messages(engine):
        if message.state == "due":
            Outbox(engine).sent(message.id, "provider-id", NOW)


def test_a_regression_becomes_a_verdict_an_incident_and_a_message_at_once(engine: Engine, scored: Scored) -> None:
    before, after = scored.runs(["4.200", "3.600"])
    assert look(engine) == Looked(judged=2, regressed=1, opened=1, messages=1)
    (incident,) = incidents(engine)
    assert (incident.kind, incident.feature, incident.model_id, incident.state) == (
        "regression",
        "explain",
        "small-1",
        "firing",
    )
    assert (incident.reference, incident.current, incident.reference_run_id, incident.opened_by_run_id) == (
        Decimal("4.200"),
        Decimal("3.600"),
        before.id,
        after.id,
    )
    (message,) = messages(engine)
    assert (message.transition, message.recipient, message.state) == ("firing", TEAM, "due")
    assert message.incidents == (incident.id,)
    judged = standing_verdict(engine, "explain")
    assert judged is not None
    assert (judged.outcome, judged.severity, judged.rule) == ("regressed", "page", "fixed_drop")
    assert (judged.baseline_run_id, judged.baseline_window, judged.incident_id) == (
        before.id,
        before.partition_key,
        incident.id,
    )


def test_looking_again_finds_nothing_to_do(engine: Engine, scored: Scored) -> None:
    scored.runs(["4.200", "3.600"])
    look(engine)
    assert look(engine) == Looked()
    assert (len(incidents(engine)), len(messages(engine))) == (1, 1)


def test_a_verdict_that_stands_already_is_not_made_again_even_where_its_run_seems_new(
    engine: Engine, scored: Scored
) -> None:
    scored.runs(["4.200", "3.600"])
    look(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE evalops.eval_runs SET checked_at = NULL"))
    look(engine)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM evalops.verdicts")).scalar_one() == 2
    assert (len(incidents(engine)), len(messages(engine))) == (1, 1)


def test_ten_regressed_runs_in_a_row_make_one_firing_mail_and_recovery_one_resolved_mail(
    engine: Engine, scored: Scored
) -> None:
    scores = ["4.500", "4.000", "3.500", "3.600", "3.000", "2.400", "2.500", "1.900", "1.300", "1.200", "1.100"]
    for day, score in enumerate(scores):
        scored.run(day, score)
        look(engine)
        deliver_all(engine)
    (incident,) = incidents(engine)
    assert (incident.reference, incident.current, incident.lowest) == (
        Decimal("4.500"),
        Decimal("1.100"),
        Decimal("1.100"),
    )
    assert [message.transition for message in messages(engine)] == ["firing"]

    scored.run(20, "4.249")
    look(engine)
    assert [message.transition for message in messages(engine)] == ["firing"], "not yet within half a drop"
    scored.run(21, "4.250")
    assert look(engine).recovered == 1
    assert [message.transition for message in messages(engine)] == ["firing", "resolved"]
    (incident,) = incidents(engine)
    assert (incident.state, incident.resolution, incident.current) == ("resolved", "recovered", Decimal("4.250"))


def test_a_level_shift_stays_one_incident_and_its_check_stays_failed(engine: Engine, scored: Scored) -> None:
    scored.runs(["4.200", "3.600", "3.600", "3.650", "3.600"])
    look(engine)
    judged = standing_verdict(engine, "explain")
    assert judged is not None
    assert judged.outcome == "stable"
    assert judged.incident_id == incidents(engine)[0].id
    assert len(messages(engine)) == 1


def test_after_a_recovery_the_next_regression_is_an_incident_of_its_own(engine: Engine, scored: Scored) -> None:
    for day, score in enumerate(["4.200", "3.600", "4.200", "3.500"]):
        scored.run(day, score)
        look(engine)
        deliver_all(engine)
    assert [incident.state for incident in incidents(engine)] == ["resolved", "firing"]
    assert [message.transition for message in messages(engine)] == ["firing", "resolved", "firing"]


def test_nobody_hears_of_a_recovery_who_never_heard_of_the_regression(engine: Engine, scored: Scored) -> None:
    scored.runs(["4.200", "3.600"])
    look(engine)
    (firing,) = messages(engine)
    Outbox(engine).ended(firing.id, "dead", "refused")
    scored.run(2, "4.200")
    assert look(engine).recovered == 1
    assert [message.transition for message in messages(engine)] == ["firing"]


def test_an_incident_keeps_the_mail_of_one_that_nobody_is_configured_for(engine: Engine, scored: Scored) -> None:
    scored.runs(["4.200", "3.600"])
    detect(engine, AlertRules(), NOW)
    (message,) = messages(engine)
    assert (message.state, message.recipient) == ("not_configured", "")


def test_features_and_models_have_incidents_of_their_own(engine: Engine, scored: Scored) -> None:
    scored.runs(["4.200", "3.600"])
    scored.runs(["4.200", "3.600"], feature="extract")
    scored.runs(["4.200", "4.100"], feature="translate")
    scored.runs(["4.900", "3.600"], model="large-1", first_day=10)
    assert look(engine).opened == 3
    assert {(incident.feature, incident.model_id) for incident in incidents(engine)} == {
        ("explain", "small-1"),
        ("extract", "small-1"),
        ("explain", "large-1"),
    }


def test_features_that_one_dagster_run_regresses_share_one_mail_to_each_recipient(
    engine: Engine, scored: Scored
) -> None:
    for feature in ("explain", "extract", "translate"):
        scored.run(0, "4.200", feature=feature, dagster_run="first")
        scored.run(1, "3.600", feature=feature, dagster_run="second")
    detect(engine, rules("a@example.com", "b@example.com"), NOW)
    made = messages(engine)
    assert [(message.recipient, len(message.incidents)) for message in made] == [
        ("a@example.com", 3),
        ("b@example.com", 3),
    ]


def test_a_score_waits_for_the_end_of_its_dagster_run(engine: Engine, scored: Scored) -> None:
    scored.run(0, "4.200", dagster_run="first")
    scored.run(1, "3.600", dagster_run="second")
    seen = detect(engine, rules(), NOW, in_progress=lambda: {"second"})
    assert (seen.judged, seen.waiting, seen.opened) == (1, 1, 0)
    assert detect(engine, rules(), NOW).opened == 1


def test_a_manual_run_and_one_that_is_not_valid_get_no_verdict(engine: Engine, scored: Scored) -> None:
    scored.run(0, "4.200")
    scored.run(1, "1.000", run_type="manual")
    scored.run(1, "1.000", status="invalid")
    scored.run(2, "1.000", status="partial")
    assert look(engine).judged == 1
    scored.run(3, "4.100")
    look(engine)
    judged = standing_verdict(engine, "explain")
    assert judged is not None
    assert (judged.outcome, judged.prior) == ("stable", Decimal("4.200"))


def test_a_late_score_of_an_earlier_window_gets_its_verdict_and_moves_no_incident(
    engine: Engine, scored: Scored
) -> None:
    scored.runs(["4.200", "3.600"], first_day=5)
    look(engine)
    scored.run(3, "1.000")
    scored.run(4, "4.600")
    seen = look(engine)
    assert (seen.judged, seen.opened, seen.recovered) == (2, 0, 0)
    assert [incident.current for incident in incidents(engine)] == [Decimal("3.600")]


def test_a_new_judge_says_nothing_about_an_open_incident_until_it_is_accepted(engine: Engine, scored: Scored) -> None:
    scored.runs(["4.200", "3.600"])
    scored.run(2, "4.900", key={"judge": "judge-2"})
    scored.run(3, "4.900", key={"judge": "judge-2"})
    look(engine)
    (incident,) = incidents(engine)
    assert (incident.state, incident.current) == ("firing", Decimal("3.600"))
    judged = standing_verdict(engine, "explain")
    assert judged is not None
    assert (judged.outcome, judged.incident_id) == ("stable", incident.id)


def test_accepting_makes_the_new_level_the_reference(engine: Engine, scored: Scored) -> None:
    scored.runs(["4.200", "3.600"])
    look(engine)
    (incident,) = incidents(engine)
    with alerting(engine) as tables:
        tables.incidents.close(incident.id, "accepted", NOW, reason="cheaper model", by="ada")
    scored.runs(["3.600", "3.200"], first_day=2)
    assert look(engine).opened == 0
    scored.run(4, "2.700")
    look(engine)
    assert incidents(engine)[-1].reference == Decimal("3.200")


def test_a_silenced_incident_and_its_successors_send_nothing_until_the_silence_ends(
    engine: Engine, scored: Scored
) -> None:
    scored.runs(["4.200", "3.600"])
    look(engine)
    deliver_all(engine)
    with alerting(engine) as tables:
        tables.incidents.silence(incidents(engine)[0].id, NOW + timedelta(days=3))
    scored.runs(["4.200", "3.500"], first_day=2)
    look(engine)
    assert [incident.state for incident in incidents(engine)] == ["resolved", "silenced"]
    assert [message.transition for message in messages(engine)] == ["firing"]


def test_valid_data_ends_the_incident_of_its_absence(engine: Engine, scored: Scored) -> None:
    with alerting(engine) as tables:
        tables.incidents.open_one("no_data", "explain", None, NOW)
    scored.run(0, "4.200")
    assert look(engine).recovered == 1
    assert incidents(engine)[0].state == "resolved"


def test_whoever_dies_before_the_commit_leaves_everything_as_it_was(engine: Engine, scored: Scored) -> None:
    scored.runs(["4.200", "3.600"])

    def die(*_: object) -> None:
        raise RuntimeError("killed")

    event.listen(engine, "commit", die)
    with pytest.raises(RuntimeError, match="killed"):
        look(engine)
    event.remove(engine, "commit", die)
    assert (incidents(engine), messages(engine), standing_verdict(engine, "explain")) == ([], [], None)
    assert look(engine).opened == 1
    assert len(messages(engine)) == 1


def test_eight_that_look_at_once_make_everything_once_and_raise_nothing(engine: Engine, scored: Scored) -> None:
    for number in range(12):
        scored.runs(["4.200", "3.600"], feature=f"feature_{number}")
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(look, [engine] * 8))
    assert sum(one.opened for one in seen) == 12
    assert (len(incidents(engine)), len(messages(engine))) == (12, 12)


def test_a_reader_goes_on_after_the_last_verdict_it_saw_and_starts_with_the_newest_of_each_feature(
    engine: Engine, scored: Scored
) -> None:
    scored.runs(["4.200", "4.300", "4.400"])
    scored.runs(["3.200", "3.300"], feature="extract")
    look(engine)
    first = verdicts_since(engine, None, ["explain", "extract", "unknown"], 100)
    assert {(judged.feature, judged.current) for judged in first} == {
        ("explain", Decimal("4.400")),
        ("extract", Decimal("3.300")),
    }
    last = max(judged.id for judged in first)
    assert verdicts_since(engine, last, ["explain"], 100) == []
    scored.runs(["4.100", "4.000"], first_day=10)
    look(engine)
    assert [judged.current for judged in verdicts_since(engine, last, ["explain"], 100)] == [
        Decimal("4.100"),
        Decimal("4.000"),
    ]


def test_what_a_look_reads_does_not_grow_with_history(engine: Engine, scored: Scored) -> None:
    scored.run(0, "4.200")
    look(engine)
    with engine.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO evalops.eval_runs (feature, window_start, window_end, partition_key, run_type, status,
                    comparability, comparability_key, plan_key, model_id, score, finished_at, checked_at)
                SELECT 'feature_' || n % 20, d, d + interval '1 hour', d::text, 'scheduled', 'completed',
                    '{}', 'k', 'k', 'small-1', 4.2, d, d
                FROM generate_series(1, 20000) AS n,
                    LATERAL (SELECT timestamptz '2020-01-01' + n * interval '1 hour' AS d) AS days
            """)
        )
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("ANALYZE evalops.eval_runs"))
    plans: list[str] = []

    def explain(connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith("SELECT") and "eval_runs" in statement:
            with engine.connect() as other:
                raw = other.connection.cursor()
                raw.execute(f"EXPLAIN {statement}", parameters)
                plans.append("\n".join(row[0] for row in raw.fetchall()))

    scored.run(1, "3.600")
    event.listen(engine, "before_cursor_execute", explain)
    try:
        assert look(engine).opened == 1
    finally:
        event.remove(engine, "before_cursor_execute", explain)
    assert len(plans) >= 3
    assert not [plan for plan in plans if "Seq Scan on eval_runs" in plan], plans


def test_what_ended_before_anybody_watched_alerts_nobody_after_an_upgrade(engine: Engine, scored: Scored) -> None:
    scored.runs(["4.200", "3.600"])
    downgrade(engine, "0007_recompute")
    upgrade(engine)
    assert look(engine) == Looked()
