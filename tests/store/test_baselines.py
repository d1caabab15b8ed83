"""Pinned baselines as rows."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from evalops_core.store.baselines import Baselines
from tests.run.scored import NOW, Scored

LATER = NOW + timedelta(days=1)


@pytest.fixture
def scored(engine: Engine) -> Scored:
    return Scored(engine)


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.begin() as opened:
        yield opened


def test_what_is_pinned_is_found_with_who_and_why(scored: Scored, connection: Connection) -> None:
    run = scored.run(1, "4.000")
    baselines = Baselines(connection)
    baselines.pin(run, "shipped", "ann", NOW)
    assert baselines.pinned("explain") == run
    (pin,) = baselines.listed()
    assert (pin.feature, pin.run, pin.reason, pin.pinned_by, pin.pinned_at) == ("explain", run, "shipped", "ann", NOW)
    assert baselines.pinned("orders") is None


def test_pinning_another_run_unpins_the_one_before_and_keeps_it_as_a_row(
    scored: Scored, connection: Connection
) -> None:
    first, second = scored.runs(["4.000", "4.100"])
    orders = scored.run(1, "3.000", feature="orders")
    baselines = Baselines(connection)
    for run in (first, orders):
        baselines.pin(run, "shipped", "ann", NOW)
    baselines.pin(second, "better", None, LATER)
    assert baselines.pinned("explain") == second
    assert [pin.run.id for pin in baselines.listed()] == [second.id, orders.id]
    rows = connection.execute(text("SELECT eval_run_id, unpinned_at FROM evalops.baselines ORDER BY id")).all()
    assert [tuple(row) for row in rows] == [(first.id, LATER), (orders.id, None), (second.id, None)]


def test_unpinning_names_the_run_and_a_second_time_nothing(scored: Scored, connection: Connection) -> None:
    run = scored.run(1, "4.000")
    baselines = Baselines(connection)
    baselines.pin(run, "shipped", "ann", NOW)
    assert baselines.unpin("explain", LATER) == run.id
    assert baselines.unpin("explain", LATER) is None
    assert (baselines.pinned("explain"), baselines.listed()) == (None, [])


def test_a_feature_never_has_two(scored: Scored, connection: Connection) -> None:
    first, second = scored.runs(["4.000", "4.100"])
    Baselines(connection).pin(first, "shipped", "ann", NOW)
    beside = text("INSERT INTO evalops.baselines (feature, eval_run_id, reason) VALUES ('explain', :run, 'beside')")
    with pytest.raises(IntegrityError), connection.begin_nested():
        connection.execute(beside, {"run": second.id})


def test_a_pin_goes_with_its_run(scored: Scored, connection: Connection) -> None:
    run = scored.run(1, "4.000")
    Baselines(connection).pin(run, "shipped", "ann", NOW)
    connection.execute(text("DELETE FROM evalops.eval_runs WHERE id = :run"), {"run": run.id})
    assert Baselines(connection).pinned("explain") is None


def test_what_the_database_cannot_hold_is_replaced(scored: Scored, connection: Connection) -> None:
    baselines = Baselines(connection)
    baselines.pin(scored.run(1, "4.000"), "ship\x00ped", "a\x00n", NOW)
    (pin,) = baselines.listed()
    assert (pin.reason, pin.pinned_by) == ("ship\ufffdped", "a\ufffdn")


def test_the_newest_valid_run_may_be_by_hand_and_the_newest_scheduled_one_is_by_window(
    scored: Scored, connection: Connection
) -> None:
    newest = scored.run(5, "4.000")
    scored.run(3, "4.100")
    by_hand = scored.run(2, "4.200", run_type="manual")
    scored.run(6, None, status="partial", run_type="manual")
    scored.run(7, "1.000", status="invalid")
    baselines = Baselines(connection)
    assert baselines.newest_valid("explain") == by_hand
    assert baselines.newest_scheduled("explain") == newest
    assert (baselines.newest_valid("orders"), baselines.newest_scheduled("orders")) == (None, None)
    assert (baselines.run(newest.id), baselines.run(999)) == (newest, None)
