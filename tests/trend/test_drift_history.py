from dataclasses import replace
from datetime import date

from sqlalchemy import Engine

from evalops_core.trend.drift_history import drift_features, read_drift
from tests.trend.drift_rows import drift_days, keep_days


def test_each_feature_has_its_own_newest_days_by_name_and_newest_first(engine: Engine) -> None:
    keep_days(engine, drift_days([None, 0.05, "gap", 0.2], feature="orders"))
    keep_days(engine, drift_days([None, 0.05, 0.06, 0.07]))
    read = [(day.feature, day.day.day, day.drift) for day in read_drift(engine, limit=2)]
    assert read == [("explain", 4, 0.07), ("explain", 3, 0.06), ("orders", 4, 0.2), ("orders", 2, 0.05)]
    assert drift_features(engine) == ["explain", "orders"]


def test_a_day_is_read_as_it_was_decided(engine: Engine) -> None:
    (kept,) = drift_days([0.2], alpha=0.005, rule="auto", threshold=0.1, n_malformed=2)
    keep_days(engine, [kept])
    assert read_drift(engine, feature="explain") == [replace(kept, id=read_drift(engine)[0].id)]


def test_days_are_chosen_by_feature_and_by_the_first_that_counts(engine: Engine) -> None:
    keep_days(engine, drift_days([None, 0.05, 0.06]))
    assert [day.day.day for day in read_drift(engine, feature="explain", since=date(2026, 11, 2))] == [3, 2]
    assert read_drift(engine, feature="orders") == []
    assert read_drift(engine, since=date(2026, 11, 4)) == []


def test_a_day_that_is_not_decided_yet_is_among_them(engine: Engine) -> None:
    keep_days(engine, drift_days([0.05, None], of={1: {"state": None, "why": "", "decided_at": None}}))
    newest, _ = read_drift(engine)
    assert (newest.state, newest.drift, newest.threshold) == (None, None, None)
