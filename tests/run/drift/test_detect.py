"""What a sampled day sets off: its state, one incident a streak, one mail, and nothing twice."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from evalops_core.domain.incident import Incident
from evalops_core.domain.scorer import ExactSpec
from evalops_core.domain.suite import DriftSpec, Suite
from evalops_core.errors import ConfigError
from evalops_core.run.alert_rules import AlertRules, FeatureAlerts
from evalops_core.run.drift.detect import Detected, detect_drift
from evalops_core.run.drift.sample import sample_day
from evalops_core.run.incident_desk import accept
from evalops_core.store.alerting import reading
from evalops_core.store.outbox import Message, Outbox
from tests.run.drift.days import FIRST, MODEL, KnownEmbeddings, at, traffic

AS_BEFORE, MOVED = "as before", "moved"
KNOWN = KnownEmbeddings({AS_BEFORE: np.array([1.0, 0.0]), MOVED: np.array([0.0, 1.0])})
SUITE = Suite(
    feature="orders",
    cases=(),
    scorers=(ExactSpec(name="exact"),),
    folder=Path(),
    drift=DriftSpec(min_sample=3, max_sample=5),
)
Look = Callable[..., Detected]


def rules(suite: Suite = SUITE) -> AlertRules:
    return AlertRules(features={"orders": FeatureAlerts(recipients=("team@example.com",), suite=suite)})


@pytest.fixture
def look(engine: Engine) -> Look:
    """A day of `text`, sampled and decided on the next morning, or at `now`."""

    def look(day: date, text: str, *, n: int = 4, now: datetime | None = None, model: str = MODEL) -> Detected:
        traffic(engine, day, [text] * n)
        embedder = replace(KNOWN.embedder(), name=model)
        asyncio.run(sample_day(engine, "orders", day, SUITE.drift, embedder))
        return detect_drift(engine, "orders", day, model, rules(), now or at(day + timedelta(days=1), 60))

    return look


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def over(look: Look, *texts: str, start: int = 0) -> list[Detected]:
    return [look(day(start + number), text) for number, text in enumerate(texts)]


def incidents(engine: Engine) -> list[Incident]:
    with reading(engine) as tables:
        return tables.incidents.listed(only_open=False)


def messages(engine: Engine) -> Sequence[Message]:
    return Outbox(engine).listed()


QUIET = (AS_BEFORE,) * 4


def test_the_second_day_in_a_row_opens_one_incident_and_owes_one_mail(engine: Engine, look: Look) -> None:
    found = over(look, *QUIET, MOVED, MOVED, MOVED, MOVED)
    assert [one.day.state for one in found][3:] == ["ok", "warning", "alerting", "alerting", "alerting"]
    (incident,) = incidents(engine)
    assert (incident.kind, incident.feature, incident.state) == ("drift", "orders", "firing")
    assert [one.opened for one in found if one.opened] == [incident.id]
    assert [one.day.incident_id for one in found][4:] == [None, incident.id, incident.id, incident.id]
    (message,) = messages(engine)
    assert (message.transition, message.incidents) == ("firing", (incident.id,))


def test_a_day_that_is_decided_stays_so_and_nobody_is_told_twice(engine: Engine, look: Look) -> None:
    found = over(look, *QUIET, MOVED, MOVED)
    for number in (4, 5, 5):
        again = detect_drift(engine, "orders", day(number), MODEL, rules(), at(day(9)))
        assert (again.day, again.repeated, again.opened) == (found[number].day, True, None)
    assert len(incidents(engine)) == len(messages(engine)) == 1


def test_a_quiet_day_ends_it_and_the_next_streak_is_a_new_one(engine: Engine, look: Look) -> None:
    found = over(look, *QUIET, MOVED, MOVED, AS_BEFORE, MOVED, MOVED)
    newest, first = incidents(engine)
    assert (first.resolution, newest.state) == ("recovered", "firing")
    assert found[6].recovered == first.id
    assert found[6].day.incident_id is None
    assert [message.transition for message in messages(engine)].count("firing") == 2


def test_accepting_it_makes_how_people_ask_now_the_baseline(engine: Engine, look: Look) -> None:
    over(look, *QUIET, MOVED, MOVED)
    (incident,) = incidents(engine)
    accept(engine, incident.id, "a new client", "ann", at(day(6), 90))
    found = over(look, MOVED, MOVED, MOVED, AS_BEFORE, start=6)
    assert [one.day.state for one in found] == ["baseline", "baseline", "ok", "warning"]
    assert found[2].day.drift == pytest.approx(0, abs=1e-9)
    assert [one.state for one in incidents(engine)] == ["resolved"]


def test_days_of_the_past_that_are_filled_in_get_their_states_and_call_nobody(engine: Engine, look: Look) -> None:
    long_after = at(day(40))
    found = [look(day(number), text, now=long_after) for number, text in enumerate([*QUIET, MOVED, MOVED])]
    assert found[-1].day.state == "alerting"
    assert incidents(engine) == []
    assert messages(engine) == []


def test_a_day_behind_one_that_is_decided_does_not_move_an_incident(engine: Engine, look: Look) -> None:
    over(look, *QUIET, MOVED)
    look(day(7), MOVED)
    look(day(5), AS_BEFORE, now=at(day(8), 60))
    assert [one.state for one in incidents(engine)] == ["firing"]


def test_days_with_too_little_and_missing_days_keep_a_streak(engine: Engine, look: Look) -> None:
    over(look, *QUIET, MOVED)
    assert look(day(5), MOVED, n=2).day.state == "insufficient"
    assert look(day(8), MOVED).day.state == "alerting"
    assert len(incidents(engine)) == 1


def test_another_embedding_model_starts_cold_and_leaves_an_open_incident_alone(engine: Engine, look: Look) -> None:
    over(look, *QUIET, MOVED, MOVED)
    found = [look(day(6 + number), MOVED, model="another") for number in range(5)]
    assert [one.day.state for one in found] == ["baseline", "baseline", "baseline", "ok", "ok"]
    assert [one.state for one in incidents(engine)] == ["firing"], "days like those of the drift are no recovery"


def test_a_later_day_with_too_little_does_not_keep_an_alert_back(engine: Engine, look: Look) -> None:
    over(look, *QUIET, MOVED)
    look(day(6), MOVED, n=2)
    look(day(5), MOVED, now=at(day(7), 60))
    assert [one.state for one in incidents(engine)] == ["firing"]


def test_a_model_that_answers_other_vectors_under_the_same_name_is_refused(engine: Engine, look: Look) -> None:
    over(look, *QUIET)
    traffic(engine, day(4), ["longer"] * 4)
    longer = KnownEmbeddings({"longer": np.array([1.0, 0.0, 0.0], np.float32)})
    asyncio.run(sample_day(engine, "orders", day(4), SUITE.drift, longer.embedder()))
    with pytest.raises(ConfigError, match="vectors of another length than for the days before 2026-10-05"):
        detect_drift(engine, "orders", day(4), MODEL, rules(), at(day(5)))


def test_a_threshold_that_is_learned_is_kept_with_its_alpha(engine: Engine) -> None:
    generator = np.random.default_rng(3)
    texts = [f"{number}" for number in range(60)]
    vectors = {text: np.asarray(generator.normal(size=8) + 3 * np.eye(8)[0], np.float32) for text in texts}
    suite = replace(SUITE, drift=DriftSpec(threshold=None, alpha=0.01, min_sample=3, max_sample=10))
    model = KnownEmbeddings(vectors)
    decided: list[Detected] = []
    for number in range(5):
        traffic(engine, day(number), texts[number * 10 : number * 10 + 10])
        asyncio.run(sample_day(engine, "orders", day(number), suite.drift, model.embedder()))
        decided.append(detect_drift(engine, "orders", day(number), MODEL, rules(suite), at(day(number + 1))))
    found = decided[-1]
    assert (found.day.rule, found.day.alpha, found.day.state) == ("auto", 0.01, "ok")
    assert found.day.drift is not None
    assert found.day.threshold is not None
    assert 0 < found.day.drift < found.day.threshold < 1
    assert found.day.baseline_days == tuple(day(number) for number in range(4))
    assert [far.distance for far in found.day.farthest] == sorted(
        (far.distance for far in found.day.farthest), reverse=True
    )
    assert len(found.day.farthest) == 5


def test_prompts_that_are_all_the_same_are_said_to_be_so(look: Look) -> None:
    """As where example turns of the prompt are taken for what users ask: no drift would ever be seen."""
    found = over(look, *QUIET)
    assert found[-1].day.why.endswith("are they an example of the prompt's (drift: {message: last})?")


def test_a_day_that_was_not_sampled_cannot_be_decided(engine: Engine) -> None:
    with pytest.raises(ConfigError, match="materialize input_centroid of that day"):
        detect_drift(engine, "orders", FIRST, MODEL, rules(), at(day(1)))
