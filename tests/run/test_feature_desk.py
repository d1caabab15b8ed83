"""Who may be renamed, what is refused, and what a renamed feature goes on as."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, func, insert, select, text

from evalops_core.errors import ConfigError
from evalops_core.run.baseline_desk import list_baselines, pin_baseline
from evalops_core.run.detect import detect
from evalops_core.run.feature_desk import (
    Renaming,
    known_features,
    list_features,
    look_at,
    rename_feature,
)
from evalops_core.run.incident_desk import list_incidents
from evalops_core.run.watch import watch
from evalops_core.store.alerting import reading
from evalops_core.store.features import Extent
from evalops_core.store.gate import Gate
from evalops_core.store.history import trend
from evalops_core.store.outbox import Outbox
from evalops_core.store.tables import DRIFT_CENTROIDS
from tests.run.drift.drifted import Drifted
from tests.run.scored import NOW, START, Scored, rules

NOTHING = Extent(runs=0, incidents=0, first_window=None, last_window=None)


class Desk:
    """Renames `explain` to `tell` in one database, `tell` being the feature that has a suite."""

    def __init__(self, engine: Engine, url: SecretStr) -> None:
        self.engine, self.gate, self.drift_gate = engine, Gate(url), Gate(url, "evalops drift")

    def rename(self, old: str = "explain", new: str = "tell", *, suites: Sequence[str] = ("tell",), **how: Any) -> Any:
        return rename_feature(self.engine, self.gate, self.drift_gate, old, new, NOW, suites=suites, **how)

    def refused(self, *names: str, **how: Any) -> str:
        """Why; the preview says the same, and nothing has changed."""
        before = self.everything()
        with pytest.raises(ConfigError) as said:
            self.rename(*names, **how)
        old, new = names or ("explain", "tell")
        with pytest.raises(ConfigError) as seen:
            look_at(self.engine, old, new, suites=how.pop("suites", ("tell",)), **how)
        assert str(seen.value) == str(said.value)
        assert self.everything() == before
        return str(said.value)

    def everything(self) -> list[Any]:
        tables = ("eval_runs", "incidents", "baselines", "verdicts", "slides", "deployment")
        with self.engine.connect() as connection:
            queries = [text(f"SELECT * FROM evalops.{table} ORDER BY 1") for table in tables]  # noqa: S608  # our tables
            return [tuple(row) for query in queries for row in connection.execute(query)]


@pytest.fixture
def desk(engine: Engine, database_url: SecretStr) -> Desk:
    return Desk(engine, database_url)


@pytest.fixture
def scored(engine: Engine) -> Scored:
    return Scored(engine)


def windows(engine: Engine, feature: str) -> list[str]:
    return [row.partition_key for row in trend(engine, feature=feature)][::-1]


def test_a_feature_renamed_last_week_gets_its_history_before_the_runs_it_has_by_now(
    desk: Desk, scored: Scored, engine: Engine
) -> None:
    scored.runs(["4.000", "4.100"])
    scored.runs(["4.200"], first_day=2, feature="tell")
    detect(engine, rules(), NOW)
    renaming, carried = desk.rename()
    assert renaming == Renaming(
        old=Extent(runs=2, incidents=0, first_window="2026-11-01", last_window="2026-11-02"),
        new=Extent(runs=1, incidents=0, first_window="2026-11-03", last_window="2026-11-03"),
        by_hand=(),
        unpins=False,
        over=(),
    )
    assert carried == {"eval runs": 2, "incidents": 0, "verdicts": 2}
    assert windows(engine, "tell") == ["2026-11-01", "2026-11-02", "2026-11-03"]
    assert (windows(engine, "explain"), known_features(engine)) == ([], ["tell"])


def test_the_next_run_is_judged_beside_what_was_carried_over(desk: Desk, scored: Scored, engine: Engine) -> None:
    scored.runs(["4.200", "4.100"])
    detect(engine, rules(), NOW)
    desk.rename()
    scored.run(2, "3.000", feature="tell")
    detect(engine, rules(), NOW)
    (listed,) = list_incidents(engine)
    assert (listed.incident.feature, str(listed.incident.reference)) == ("tell", "4.100")


def test_an_open_incident_goes_on_and_ends_under_the_new_name_with_its_mails(
    desk: Desk, scored: Scored, engine: Engine
) -> None:
    scored.runs(["4.200", "3.000"])
    detect(engine, rules(), NOW)
    desk.rename()
    scored.run(2, "4.200", feature="tell")
    detect(engine, rules(), NOW)
    assert list_incidents(engine) == []
    (listed,) = list_incidents(engine, only_open=False)
    assert (listed.incident.feature, listed.incident.resolution) == ("tell", "recovered")
    assert [message.transition for message in Outbox(engine).listed(incident_id=listed.incident.id)] == [
        "resolved",
        "firing",
    ]


def test_runs_that_wait_for_a_verdict_get_it_under_the_new_name(desk: Desk, scored: Scored, engine: Engine) -> None:
    scored.runs(["4.200", "3.000"])
    desk.rename()
    detect(engine, rules(), NOW)
    assert [listed.incident.feature for listed in list_incidents(engine)] == ["tell"]


def test_of_two_pinned_baselines_the_new_name_s_stays(desk: Desk, scored: Scored, engine: Engine) -> None:
    (mine,) = scored.runs(["4.000"])
    (theirs,) = scored.runs(["4.200"], first_day=2, feature="tell")
    for run in (mine, theirs):
        pin_baseline(engine, run.id, "shipped", "ann", NOW)
    renaming, _ = desk.rename()
    assert renaming.unpins
    assert [(pin.feature, pin.run.id) for pin in list_baselines(engine)] == [("tell", theirs.id)]


def test_a_window_that_both_have_is_refused_by_name(desk: Desk, scored: Scored) -> None:
    scored.runs(["4.000", "4.100"])
    scored.runs(["4.200", "4.300"], first_day=1, feature="tell")
    assert desk.refused() == (
        "explain and tell have a scheduled run each of window 2026-11-02 (runs 2 and 3), and a window has one; with "
        "--keep-new that of tell stays in the trend, and that of explain is carried over as a manual run"
    )


def test_of_many_windows_a_few_are_named(desk: Desk, scored: Scored) -> None:
    for feature in ("explain", "tell"):
        scored.runs(["4.000"] * 7, feature=feature)
    assert "(runs 5 and 12) and 2 more, and a window has one" in desk.refused()


def test_with_keep_new_the_new_name_s_run_stays_in_the_trend(desk: Desk, scored: Scored, engine: Engine) -> None:
    scored.runs(["4.000", "4.100"])
    (mine,) = scored.runs(["4.200"], first_day=1, feature="tell")
    renaming, carried = desk.rename(keep_new=True)
    assert [shared.partition_key for shared in renaming.by_hand] == ["2026-11-02"]
    assert carried["eval runs"] == 2
    assert [row.eval_run_id for row in trend(engine, feature="tell")] == [mine.id, 1]


def test_two_open_falls_of_one_model_are_refused_until_a_person_says_which_is_over(
    desk: Desk, scored: Scored, engine: Engine
) -> None:
    scored.runs(["4.200", "3.000"])
    scored.runs(["4.300", "3.100"], first_day=5, feature="tell")
    detect(engine, rules(), NOW)
    assert desk.refused().startswith("explain and tell have an open regression incident each (1 and 2); accept one of")


def test_two_open_drifts_are_refused_as_two_falls_are(desk: Desk, scored: Scored, engine: Engine) -> None:
    scored.run(0, "4.000")
    for feature in ("explain", "tell"):
        Drifted(engine).incident(feature=feature)
    assert desk.refused().startswith("explain and tell have an open drift incident each (1 and 2); accept one of them")


def test_a_drift_goes_on_under_the_new_name(desk: Desk, scored: Scored, engine: Engine) -> None:
    scored.run(0, "4.000")
    Drifted(engine).incident()
    desk.rename()
    Drifted(engine).day(7, 0.05, feature="tell")
    (listed,) = list_incidents(engine, only_open=False)
    assert (listed.incident.feature, listed.incident.resolution) == ("tell", "recovered")


def test_falls_of_two_models_go_on_beside_each_other(desk: Desk, scored: Scored, engine: Engine) -> None:
    scored.runs(["4.200", "3.000"])
    scored.runs(["4.300", "3.100"], first_day=5, feature="tell", model="large-1")
    detect(engine, rules(), NOW)
    desk.rename()
    assert sorted((x.incident.feature, x.incident.model_id) for x in list_incidents(engine)) == [
        ("tell", "large-1"),
        ("tell", "small-1"),
    ]


def test_data_that_both_wait_for_is_awaited_once(desk: Desk, scored: Scored, engine: Engine) -> None:
    scored.run(0, "4.000")
    with reading(engine) as tables:
        for feature in ("explain", "tell"):
            tables.incidents.open_one("no_data", feature, None, START)
        tables.connection.commit()
    renaming, _ = desk.rename()
    assert renaming.over == (1,)
    found = {listed.incident.id: listed.incident for listed in list_incidents(engine, only_open=False)}
    assert (found[1].feature, found[1].resolution, found[1].closed_by) == (
        "tell",
        "accepted",
        "evalops features rename",
    )
    assert found[2].is_open


@pytest.mark.parametrize(
    ("names", "suites", "words"),
    [
        (("nope", "tell"), (), "there is no history of 'nope'; there is of explain"),
        (
            ("explain", "Tell me"),
            (),
            "a feature is named by lower-case letters, digits and underscores, a letter first",
        ),
        (("explain", "explain"), (), "'explain' is the feature's name already"),
        (("explain", "tell"), ("explain", "tell"), "explain still has a suite and would go on beside tell; rename its"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence_and_changes_nothing(
    desk: Desk, scored: Scored, names: tuple[str, str], suites: Sequence[str], words: str
) -> None:
    scored.run(0, "4.000")
    assert desk.refused(*names, suites=suites).startswith(words)


def test_nothing_is_renamed_while_an_eval_run_is_in_progress(
    desk: Desk, scored: Scored, engine: Engine, database_url: SecretStr
) -> None:
    scored.run(0, "4.000")
    with Gate(database_url).hold("dagster-run-7", wait_s=0), pytest.raises(ConfigError, match="run dagster-run-7 on"):
        desk.rename()
    assert windows(engine, "explain") == ["2026-11-01"]
    desk.rename()
    assert windows(engine, "tell") == ["2026-11-01"]


def test_no_eval_run_begins_while_a_feature_is_renamed(
    desk: Desk, scored: Scored, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evalops_core.store.features import Features

    holders: list[Any] = []

    def noticing(self: Features, old: str, new: str) -> list[Any]:
        holders.append(desk.gate.holder())
        return []

    scored.run(0, "4.000")
    monkeypatch.setattr(Features, "shared_windows", noticing)
    desk.rename()
    assert holders[0].run == "features-rename"
    assert desk.gate.holder() is None


def test_a_renaming_that_fails_halfway_changes_nothing(
    desk: Desk, scored: Scored, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evalops_core.store.gate import Held

    def lost(_: Held) -> None:
        raise OSError("the network is gone")

    scored.runs(["4.200", "3.000"])
    before = desk.everything()
    monkeypatch.setattr(Held, "verify", lost)
    with pytest.raises(OSError, match="the network is gone"):
        desk.rename()
    assert desk.everything() == before


def test_since_when_a_schedule_is_watched_stays_as_the_new_name_has_it(
    desk: Desk, scored: Scored, engine: Engine
) -> None:
    scored.run(0, "4.000")
    watch(engine, rules(), START, scheduled={"explain": START})
    watch(engine, rules(), NOW, scheduled={"tell": NOW})
    desk.rename()
    with reading(engine) as tables:
        assert (tables.incidents.watched_at("tell"), tables.incidents.watched_at("explain")) == (NOW, None)


def test_the_list_has_what_has_a_suite_and_what_has_a_history(engine: Engine, scored: Scored) -> None:
    scored.runs(["4.200", "3.000"])
    detect(engine, rules(), NOW)
    found = list_features(engine, ["orders"])
    assert [(listed.standing.feature, listed.standing.runs) for listed in found] == [("explain", 2), ("orders", 0)]
    assert [[incident.id for incident in listed.incidents] for listed in found] == [[1], []]


def test_a_name_without_anything_is_nothing_yet(engine: Engine, scored: Scored) -> None:
    scored.run(0, "4.000")
    assert look_at(engine, "explain", "brand_new", suites=()).new == NOTHING


def test_while_a_day_of_drift_is_looked_at_nothing_is_renamed(scored: Scored, desk: Desk) -> None:
    scored.runs(["4.000"], feature="explain")
    why = "a day of drift may be in progress, for a gate is held by run a-day on"
    with desk.drift_gate.hold("a-day", wait_s=0), pytest.raises(ConfigError, match=why):
        desk.rename()


def test_of_a_day_that_both_have_the_one_that_is_decided_is_kept(engine: Engine, scored: Scored, desk: Desk) -> None:
    """The new name's may be no more than a first look."""
    scored.run(0, "4.000")
    days: dict[tuple[str, int], tuple[str | None, int]] = {
        ("explain", 1): ("ok", 50),
        ("tell", 1): (None, 20),
        ("explain", 2): ("insufficient", 3),
        ("tell", 2): ("ok", 50),
        ("explain", 3): ("ok", 50),
    }
    with engine.begin() as connection:
        for (feature, day), (state, n) in days.items():
            row = {"feature": feature, "day": date(2026, 11, day), "embedding_model": "e", "n": n, "state": state}
            connection.execute(insert(DRIFT_CENTROIDS).values(**row, decided_at=state and NOW))
    desk.rename()
    with engine.connect() as connection:
        query = select(DRIFT_CENTROIDS.c.feature, DRIFT_CENTROIDS.c.state, DRIFT_CENTROIDS.c.n)
        assert {tuple(row) for row in connection.execute(query)} == {("tell", "ok", 50)}
        assert connection.scalar(select(func.count()).select_from(DRIFT_CENTROIDS)) == 3
