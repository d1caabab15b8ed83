"""Which days a tick starts: each once, when it is over and has enough, late ones a day later."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, text

from evalops_core.domain.scorer import ExactSpec
from evalops_core.domain.suite import DriftSpec, Suite
from evalops_core.run.alert_rules import AlertRules
from evalops_core.run.drift.detect import detect_drift
from evalops_core.run.drift.due import decide_drift_tick
from evalops_core.run.drift.sample import sample_day
from evalops_core.store.traces import Traces
from tests.run.drift.days import FIRST, MODEL, KnownEmbeddings, at, traffic

SPEC = DriftSpec(min_sample=3, max_sample=5)
SUITE = Suite(feature="orders", cases=(), scorers=(ExactSpec(name="exact"),), folder=Path(), drift=SPEC)
DAY = timedelta(days=1)


def done(engine: Engine, number: int) -> None:
    model = KnownEmbeddings({"x": np.array([1.0, 0.0])})
    asyncio.run(sample_day(engine, "orders", FIRST + number * DAY, SPEC, model.embedder()))
    detect_drift(engine, "orders", FIRST + number * DAY, MODEL, AlertRules(), at(FIRST + (number + 1) * DAY))


def test_a_day_is_due_once_when_it_is_over(engine: Engine) -> None:
    traffic(engine, FIRST, ["x"] * 5)
    before = decide_drift_tick(engine, [SUITE], MODEL, at(FIRST, 23 * 60))
    assert (before.start, before.reasons) == ((), ("orders is done up to 2026-09-30",))
    assert decide_drift_tick(engine, [SUITE], MODEL, at(FIRST + DAY)).start == (("orders", FIRST),)
    done(engine, 0)
    after = decide_drift_tick(engine, [SUITE], MODEL, at(FIRST + DAY, 60))
    assert (after.start, after.reasons) == ((), ("orders is done up to 2026-10-01",))


def test_a_day_with_too_few_traces_is_waited_for_until_a_day_later(engine: Engine) -> None:
    traffic(engine, FIRST, ["x"] * 2)
    early = decide_drift_tick(engine, [SUITE], MODEL, at(FIRST + DAY, 60))
    assert early.reasons == ("orders waits for traces of 2026-10-01, until 2026-10-03 00:00 UTC",)
    assert early.start == ()
    assert decide_drift_tick(engine, [SUITE], MODEL, at(FIRST + 2 * DAY)).start == (("orders", FIRST),)
    done(engine, 0)
    later = decide_drift_tick(engine, [SUITE], MODEL, at(FIRST + 2 * DAY, 60))
    assert later.start == ()


def test_days_that_were_missed_are_made_up_for_in_their_order_a_week_at_most(engine: Engine) -> None:
    for number in range(10):
        traffic(engine, FIRST + number * DAY, ["x"] * 3)
    found = decide_drift_tick(engine, [SUITE], MODEL, at(FIRST + 10 * DAY))
    assert found.start == tuple(("orders", FIRST + number * DAY) for number in range(3, 10))


def test_each_feature_is_looked_at_by_itself_and_one_without_traces_says_so(engine: Engine) -> None:
    traffic(engine, FIRST, ["x"] * 3)
    suites = [replace(SUITE, feature="never"), SUITE]
    found = decide_drift_tick(engine, suites, MODEL, at(FIRST + DAY))
    assert (found.start, found.reasons) == ((("orders", FIRST),), ("never has no traces of the last 7 days",))


def test_another_embedding_model_has_its_own_days(engine: Engine) -> None:
    traffic(engine, FIRST, ["x"] * 3)
    done(engine, 0)
    assert decide_drift_tick(engine, [SUITE], "another", at(FIRST + DAY)).start == (("orders", FIRST),)


def test_one_feature_that_cannot_be_looked_at_keeps_no_other_waiting(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    traffic(engine, FIRST, ["x"] * 3)
    look = Traces.first_since

    def broken(self: Traces, feature: str, start: datetime) -> datetime | None:
        if feature == "odd":
            raise ValueError("year -44 is out of range")
        return look(self, feature, start)

    monkeypatch.setattr(Traces, "first_since", broken)
    found = decide_drift_tick(engine, [replace(SUITE, feature="odd"), SUITE], MODEL, at(FIRST + DAY))
    assert found.start == (("orders", FIRST),)
    assert found.reasons == ("odd could not be looked at (ValueError)",)


def test_a_trace_from_before_our_era_keeps_nobody_from_the_days_of_now(engine: Engine) -> None:
    traffic(engine, FIRST, ["x"] * 3)
    odd = "INSERT INTO evalops.llm_traces VALUES ('odd', 'orders', '0044-03-15 BC', '[]')"
    with engine.begin() as connection:
        connection.execute(text(odd))
    assert decide_drift_tick(engine, [SUITE], MODEL, at(FIRST + DAY)).start == (("orders", FIRST),)
    (listed,) = Traces(engine).summary()
    assert (listed.traces, listed.first.year) == (4, 1)
