"""`evalops incidents`."""

import getpass
import json
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from evalops_core.domain.incident import Incident
from evalops_core.run.detect import detect
from evalops_core.run.incident_desk import list_incidents
from evalops_core.run.incident_desk import silence as quieten
from evalops_core.run.watch import watch
from evalops_core.store.outbox import Outbox
from evalops_core.suites.loader import load_suites
from evalops_core.wiring import alert_rules
from evalops_dagster.cli.moments import future_moment
from tests.builders import judge_settings
from tests.cli.calling import Evalops, settle
from tests.run.drift.drifted import Drifted
from tests.run.scored import NOW, START, Scored, rules


@pytest.fixture(autouse=True)
def deployment(database_url: SecretStr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database of the test's own and a suite, `orders`; the feature `explain` has none any more."""
    settle(monkeypatch, tmp_path, database_url, cases=2)
    monkeypatch.setenv("EVALOPS_UI_URL", "http://ui.example")


@pytest.fixture
def scored(engine: Engine) -> Scored:
    return Scored(engine)


@pytest.fixture
def regressions(engine: Engine, scored: Scored) -> None:
    """1: `explain` from 4.200 to 3.500 in two steps; 2: `orders` from 5.000 to 4.000."""
    answers = {"case-1": ("SECRET ANSWER", 4.0)}
    scored.runs(["4.200", "3.600", "3.500"], dagster_run="root-1", answers=answers)
    detect(engine, rules(), NOW)
    scored.runs(["5.000", "4.000"], feature="orders")
    detect(engine, rules(), NOW)


def incident(engine: Engine, number: int) -> Incident:
    found = {listed.incident.id: listed.incident for listed in list_incidents(engine, only_open=False)}
    return found[number]


@pytest.mark.usefixtures("regressions")
def test_the_list_shows_open_incidents_newest_first(evalops: Evalops) -> None:
    said = evalops("incidents", "list")
    assert (said.code, said.err) == (0, "")
    rows = [re.split(r"\s{2,}", line.strip()) for line in said.out.splitlines() if "regression" in line]
    assert rows == [
        ["2", "regression", "firing", "orders", "small-1", "5.000 → 4.000", "2026-12-01 09:30", "1"],
        ["1", "regression", "firing", "explain", "small-1", "4.200 → 3.500", "2026-12-01 09:30", "2"],
    ]
    assert "\x1b" not in said.out
    assert "SECRET" not in said.out


@pytest.mark.usefixtures("regressions")
def test_without_a_command_the_open_ones_are_listed_as_mails_promise(evalops: Evalops) -> None:
    assert evalops("incidents") == evalops("incidents", "list")


@pytest.mark.usefixtures("regressions")
def test_the_list_says_who_is_on_it_and_what_is_silenced(evalops: Evalops) -> None:
    evalops("incidents", "ack", "1", "--by", "ann")
    evalops("incidents", "silence", "2", "--until", "9000-01-01")
    rows = evalops("incidents", "list").out
    assert "firing, acknowledged by ann" in rows
    assert "silenced until 9000-01-01 00:00 UTC" in rows


@pytest.mark.usefixtures("regressions")
def test_a_silence_that_is_over_shows_as_firing(engine: Engine, evalops: Evalops) -> None:
    past = datetime.now(timezone.utc) - timedelta(days=1)
    quieten(engine, 1, past + timedelta(hours=1), past)
    assert "silenced" not in evalops("incidents", "list").out


@pytest.mark.usefixtures("regressions")
def test_what_is_over_is_listed_on_demand(evalops: Evalops) -> None:
    assert evalops("incidents", "accept", "1", "--reason", "meant", "--by", "ann").code == 0
    assert "explain" not in evalops("incidents", "list").out
    assert "accepted by ann" in evalops("incidents", "list", "--all").out
    assert len(json.loads(evalops("incidents", "list", "--all", "--limit", "1", "--json").out)) == 1


@pytest.mark.usefixtures("regressions")
def test_the_list_as_json_has_numbers_and_times(evalops: Evalops) -> None:
    rows = json.loads(evalops("incidents", "list", "--feature", "explain", "--json").out)
    (row,) = rows
    assert (row["id"], row["kind"], row["state"], row["is_open"]) == (1, "regression", "firing", True)
    assert (row["reference"], row["current"], row["lowest"], row["runs"]) == (4.2, 3.5, 3.5, 2)
    assert datetime.fromisoformat(row["opened_at"]) == NOW


def test_no_incident_is_said_kindly(evalops: Evalops) -> None:
    said = evalops("incidents", "list", "--feature", "orders")
    assert (said.code, said.err) == (0, "")
    assert said.out == "No incident of orders is open; `evalops incidents list --all` shows those that are over.\n"
    assert evalops("incidents", "list", "--all").out == "There has been no incident yet.\n"
    assert json.loads(evalops("incidents", "list", "--json").out) == []


@pytest.mark.usefixtures("regressions")
def test_an_unknown_feature_is_refused_with_those_there_are(evalops: Evalops) -> None:
    said = evalops("incidents", "list", "--feature", "explian")
    assert (said.code, said.out) == (2, "")
    assert said.err == "error: --feature: there is no feature 'explian'; there are explain, orders\n"


@pytest.mark.usefixtures("regressions")
def test_one_incident_is_shown_with_its_runs_messages_links_and_what_can_be_done(evalops: Evalops) -> None:
    said = evalops("incidents", "show", "1")
    assert (said.code, said.err) == (0, "")
    facts = dict(re.findall(r"^(\w[\w ]*?) {2,}(.+)$", said.out, re.MULTILINE))
    assert said.out.startswith("incident 1: regression of explain with small-1\n")
    assert facts["state"] == "firing"
    assert facts["since"] == "2026-12-01 09:30 UTC, 2 runs"
    assert facts["reference"] == "4.200, of window 2026-11-01"
    assert (facts["current"], facts["lowest"]) == ("3.500", "3.500")
    assert facts["Dagster run"] == "http://ui.example/runs/root-1"
    assert re.search(r"2026-11-03 +3\.500 +stable", said.out)
    assert re.search(r"1 +firing +due +team@example\.com +2026-12-01 09:30", said.out)
    for command in ("ack 1", "silence 1 --until 3d", 'accept 1 --reason "…"'):
        assert f"evalops incidents {command}" in said.out
    assert "unsilence" not in said.out, "it is not silenced"
    assert "SECRET" not in said.out


@pytest.mark.usefixtures("regressions")
def test_the_suite_s_drop_decides_where_it_recovers(evalops: Evalops) -> None:
    assert re.search(r"^recovers at +4\.75 or more$", evalops("incidents", "show", "2").out, re.MULTILINE)


@pytest.mark.usefixtures("regressions")
def test_one_incident_as_json_has_everything_but_the_mails(evalops: Evalops) -> None:
    shown = json.loads(evalops("incidents", "show", "1", "--json").out)
    assert [(v["partition_key"], v["current"], v["outcome"]) for v in shown["verdicts"]] == [
        ("2026-11-03", 3.5, "stable"),
        ("2026-11-02", 3.6, "regressed"),
    ]
    (message,) = shown["messages"]
    assert (message["state"], message["incidents"]) == ("due", [1])
    assert "rendered" not in message


@pytest.mark.usefixtures("regressions")
def test_one_that_is_over_says_how_and_offers_nothing(evalops: Evalops) -> None:
    evalops("incidents", "accept", "1", "--reason", "shorter on purpose", "--by", "ann")
    out = evalops("incidents", "show", "1").out
    assert re.search(r"^state +over since .* UTC: it was accepted by ann \(shorter on purpose\)$", out, re.MULTILINE)
    assert out.endswith("nothing to do: it is over\n")


def test_data_that_does_not_come_has_no_scores_and_no_level_to_accept(
    engine: Engine, evalops: Evalops, tmp_path: Path
) -> None:
    told = alert_rules(judge_settings("http://127.0.0.1:9/v1", tmp_path), load_suites([tmp_path / "suites"]))
    watch(engine, told, NOW - timedelta(days=7), scheduled={"orders": START})
    watch(engine, told, NOW, scheduled={"orders": START})
    assert re.search(r"1 +no data +firing +orders +– +– +2026-12-01 09:30 +–", evalops("incidents", "list").out)
    assert "accept" not in evalops("incidents", "show", "1").out
    said = evalops("incidents", "accept", "1", "--reason", "retired")
    assert (said.code, said.out) == (2, "")
    assert "there is no level to accept" in said.err


@pytest.fixture
def drift(engine: Engine) -> Incident:
    """1: `explain` above 0.150 since 2026-11-07, two days later with too few prompts to say anything."""
    drifted = Drifted(engine)
    drifted.incident(more=[0.25])
    found = drifted.day(8, 0.9, n=2)
    assert found is not None
    return found


@pytest.mark.usefixtures("drift")
def test_a_drift_is_listed_with_how_far_it_was_and_its_days(evalops: Evalops) -> None:
    (line,) = [line for line in evalops("incidents", "list").out.splitlines() if "explain" in line]
    assert re.split(r"\s{2,}", line.strip()) == [
        "1",
        "drift",
        "firing",
        "explain",
        "–",
        "0.250 above 0.150",
        "2026-11-08 01:00",
        "3",
    ]
    (row,) = json.loads(evalops("incidents", "list", "--json").out)
    assert (row["kind"], row["reference"], row["drift"], row["threshold"], row["runs"]) == (
        "drift",
        None,
        0.25,
        0.15,
        3,
    )


@pytest.mark.usefixtures("drift")
def test_a_drift_is_shown_with_its_days_and_what_can_be_done(evalops: Evalops) -> None:
    said = evalops("incidents", "show", "1")
    assert (said.code, said.err) == (0, "")
    facts = dict(re.findall(r"^(\w[\w ]*?) {2,}(.+)$", said.out, re.MULTILINE))
    assert said.out.startswith("incident 1: drift of explain\n")
    assert facts["since"] == "2026-11-08 01:00 UTC, 3 days"
    assert facts["opened by"] == "the day 2026-11-07"
    assert facts["drift"] == "0.250 on 2026-11-08, threshold 0.150"
    assert facts["recovers at"] == "the first day that is within its threshold"
    assert facts["asset"] == "http://ui.example/assets/explain/input_drift?view=partitions&partition=2026-11-07"
    assert re.search(r"2026-11-07 +0\.231 +0\.150 +alerting +drift 0\.231 is above", said.out)
    assert re.search(r"2026-11-09 +– +– +insufficient +2 of at least 10 traces", said.out)
    assert "people ask like this from now on: the days since it opened are the new baseline" in said.out
    assert "runs it has seen" not in said.out
    assert not set(facts) & {"reference", "current", "lowest", "checks"}


@pytest.mark.usefixtures("drift")
def test_a_drift_as_json_has_its_days_newest_first(evalops: Evalops) -> None:
    shown = json.loads(evalops("incidents", "show", "1", "--json").out)
    assert [(day["day"], day["drift"], day["state"]) for day in shown["days"]] == [
        ("2026-11-09", None, "insufficient"),
        ("2026-11-08", 0.25, "alerting"),
        ("2026-11-07", 0.231, "alerting"),
    ]
    assert (shown["verdicts"], shown["opened_window"]) == ([], "2026-11-07")


def test_a_drift_that_is_over_says_by_which_day(engine: Engine, evalops: Evalops, drift: Incident) -> None:
    Drifted(engine).day(9, 0.05)
    out = evalops("incidents", "show", str(drift.id)).out
    assert re.search(r"^ended by +the day 2026-11-10$", out, re.MULTILINE)
    assert "what users ask is as before again" in out
    assert "recovers at" not in out


def test_accepting_a_drift_says_what_is_the_baseline_from_now_on(
    engine: Engine, evalops: Evalops, drift: Incident
) -> None:
    said = evalops("incidents", "accept", "1", "--reason", "a new use", "--by", "ann")
    assert (said.code, said.err) == (0, "")
    assert said.out == (
        "incident 1 is over: how people ask now is accepted, the days since it opened are the new baseline; "
        "nobody is told\n"
    )
    assert incident(engine, drift.id).resolution == "accepted"


@pytest.mark.usefixtures("regressions")
def test_who_takes_it_on_is_the_login_unless_it_is_named(
    engine: Engine, evalops: Evalops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "carla")
    assert evalops("incidents", "ack", "1").out == "incident 1 is acknowledged by carla: no more reminders\n"
    assert incident(engine, 1).acknowledged_by == "carla"
    evalops("incidents", "ack", "1", "--by", "ann")
    assert incident(engine, 1).acknowledged_by == "ann"


@pytest.mark.usefixtures("regressions")
def test_a_login_without_a_name_has_to_name_itself(
    engine: Engine, evalops: Evalops, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(getpass, "getuser", nobody)
    for said in (evalops("incidents", "ack", "1"), evalops("incidents", "ack", "1", "--by", " ")):
        assert (said.code, said.err) == (2, "error: --by: expected a name: this login has none, or it is empty\n")
    assert incident(engine, 1).acknowledged_at is None


@pytest.mark.usefixtures("regressions")
def test_a_silence_is_set_ended_and_offered(engine: Engine, evalops: Evalops) -> None:
    said = evalops("incidents", "silence", "1", "--until", "9000-12-01T09:00+01:00")
    assert said.out == "incident 1 is silenced until 9000-12-01 08:00 UTC\n"
    assert "evalops incidents unsilence 1" in evalops("incidents", "show", "1").out
    assert evalops("incidents", "unsilence", "1").out == "incident 1 is not silenced any more\n"
    assert (incident(engine, 1).state, incident(engine, 1).silenced_until) == ("firing", None)
    again = evalops("incidents", "unsilence", "1")
    assert (again.code, again.err) == (2, "error: incident 1 is not silenced; nothing to do\n")


@pytest.mark.usefixtures("regressions")
def test_ending_a_silence_that_it_began_in_says_that_a_message_was_made(
    engine: Engine, evalops: Evalops, scored: Scored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALOPS_ALERT_TO", "a@example.com,b@example.com")
    evalops("incidents", "silence", "1", "--until", "9000-01-01")
    evalops("incidents", "accept", "1", "--reason", "meant")
    scored.run(3, "2.000")
    detect(engine, rules(), NOW)
    said = evalops("incidents", "unsilence", "3")
    assert said.out == "incident 3 is not silenced any more; 2 messages made, for it began in silence\n"
    assert {message.recipient for message in Outbox(engine).listed(incident_id=3)} == {"a@example.com", "b@example.com"}


@pytest.mark.usefixtures("regressions")
@pytest.mark.parametrize("until", ["tomorrow", "2020-01-01", "0d", "99999999w", "-3d", "", "2026-13-01"])
def test_a_silence_until_no_moment_to_come_is_refused_in_a_sentence(
    engine: Engine, evalops: Evalops, until: str
) -> None:
    said = evalops("incidents", "silence", "1", f"--until={until}")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: --until: ")
    assert len(said.err.splitlines()) == 1
    assert incident(engine, 1).silenced_until is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-12-24", "2026-12-24T00:00+00:00"),
        ("2026-12-24T18:30", "2026-12-24T18:30+00:00"),
        ("2026-12-24 18:30:10", "2026-12-24T18:30:10+00:00"),
        ("2026-12-24T18:30Z", "2026-12-24T18:30+00:00"),
        ("2026-12-24T18:30-02:00", "2026-12-24T20:30+00:00"),
        ("90m", "2026-12-01T11:00+00:00"),
        ("12h", "2026-12-01T21:30+00:00"),
        ("3d", "2026-12-04T09:30+00:00"),
        ("2w", "2026-12-15T09:30+00:00"),
    ],
)
def test_a_moment_is_a_date_a_time_or_a_span(written: str, meant: str) -> None:
    moment = future_moment(written, NOW)
    assert moment == datetime.fromisoformat(meant)
    assert moment.utcoffset() == timedelta(0)


@pytest.mark.parametrize("written", ["20261224", "2026-W52-4", "9999-12-31T23:00-10:00", "٣d", "1.5d", "3 d", "3days"])
def test_what_only_some_versions_of_python_would_read_is_no_moment(written: str) -> None:
    with pytest.raises(ValueError, match="expected a date like 2026-12-01"):
        future_moment(written, NOW)


@pytest.mark.usefixtures("regressions")
def test_accepting_says_what_it_means_and_sends_nothing(engine: Engine, evalops: Evalops) -> None:
    before = Outbox(engine).listed()
    said = evalops("incidents", "accept", "1", "--reason", "shorter on purpose", "--by", "ann")
    assert (said.code, said.err) == (0, "")
    assert said.out == (
        "incident 1 is over: the new level at 3.500 is accepted, later runs are compared with it; nobody is told\n"
    )
    closed = incident(engine, 1)
    assert (closed.resolution, closed.reason, closed.closed_by) == ("accepted", "shorter on purpose", "ann")
    assert Outbox(engine).listed() == before


@pytest.mark.usefixtures("regressions")
def test_accepting_needs_a_reason(engine: Engine, evalops: Evalops) -> None:
    said = evalops("incidents", "accept", "1", "--reason", " ")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: --reason: expected a few words")
    assert evalops("incidents", "accept", "1").code == 2
    assert incident(engine, 1).is_open


@pytest.mark.usefixtures("regressions")
@pytest.mark.parametrize(
    "arguments",
    [["ack", "1"], ["silence", "1", "--until", "3d"], ["unsilence", "1"], ["accept", "1", "--reason", "again"]],
)
def test_what_the_sensor_ended_meanwhile_is_refused_with_since_when_and_how(
    engine: Engine, evalops: Evalops, scored: Scored, arguments: list[str]
) -> None:
    scored.run(3, "4.200")
    detect(engine, rules(), NOW)
    said = evalops("incidents", *arguments)
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        "error: incident 1 is over since 2026-12-01 09:30 UTC: the score recovered; nothing was changed\n"
    )


@pytest.mark.parametrize("arguments", [["show", "7"], ["ack", "7"], ["unsilence", "7"], ["show", str(2**63 - 1)]])
def test_an_incident_that_there_is_not_is_named_and_where_to_look(evalops: Evalops, arguments: list[str]) -> None:
    said = evalops("incidents", *arguments)
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        f"error: there is no incident {arguments[1]}; `evalops incidents list --all` shows those there are\n"
    )


@pytest.mark.parametrize("number", ["0", "-1", str(2**63), "one"])
def test_what_can_be_no_id_is_refused(evalops: Evalops, number: str) -> None:
    said = evalops("incidents", "show", "--", number)
    assert (said.code, said.out) == (2, "")
    assert "Invalid value for 'ID'" in said.err.splitlines()[-1]


@pytest.mark.usefixtures("regressions")
def test_names_and_reasons_cannot_move_the_cursor_or_colour_the_terminal(evalops: Evalops) -> None:
    evalops("incidents", "accept", "1", "--reason", "fine\x1b[2J\nid 9", "--by", "an\x1b[31mn")
    for out in (evalops("incidents", "show", "1").out, evalops("incidents", "list", "--all").out):
        assert "\x1b" not in out
    assert "id 9" not in evalops("incidents", "show", "1").out.splitlines()
