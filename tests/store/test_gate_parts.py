"""Parts of a gate: one eval run of each feature at a time, and none of them beside one that wants the whole."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from pydantic import SecretStr

from evalops_core.store.gate import Gate, GateError, GateHeldError
from tests.store.pooler import transaction_pooler

PATIENCE_S = 30.0


def part(url: SecretStr, *features: str) -> Gate:
    return Gate(url, "evalops", features)


def test_parts_of_different_features_are_held_at_the_same_time(database_url: SecretStr) -> None:
    one, other = part(database_url, "explain"), part(database_url, "extract")
    with one.hold("first", wait_s=0) as held, other.hold("second", wait_s=0) as held_too:
        held.verify()
        held_too.verify()
        holders = part(database_url, "explain", "extract", "translate").holders()
    assert {(holder.run, holder.parts) for holder in holders} == {("first", ("explain",)), ("second", ("extract",))}


def test_the_same_part_is_held_once_and_its_holder_is_named(database_url: SecretStr) -> None:
    with part(database_url, "explain").hold("first", wait_s=0):
        with (
            pytest.raises(GateHeldError, match="held by run first on "),
            part(database_url, "explain").hold("second", wait_s=0),
        ):
            pass
        assert part(database_url, "extract").holder() is None
    assert part(database_url, "explain").holder() is None


def test_who_wants_the_whole_waits_for_every_part_and_the_other_way_round(database_url: SecretStr) -> None:
    whole = Gate(database_url)
    with (
        part(database_url, "explain").hold("first", wait_s=0),
        pytest.raises(GateHeldError, match="held by run first on "),
        whole.hold("second", wait_s=0),
    ):
        pass
    with (
        whole.hold("second", wait_s=0),
        pytest.raises(GateHeldError, match="held by run second on "),
        part(database_url, "explain").hold("first", wait_s=0),
    ):
        pass
    assert whole.holder() is None


def test_of_several_parts_all_are_taken_or_none(database_url: SecretStr) -> None:
    with part(database_url, "explain").hold("first", wait_s=0):
        with (
            pytest.raises(GateHeldError, match="held by run first on "),
            part(database_url, "a_first_one", "explain", "zeta").hold("second", wait_s=0.2),
        ):
            pass
        with part(database_url, "a_first_one").hold("third", wait_s=0), part(database_url, "zeta").hold("4", wait_s=0):
            pass


def test_runs_that_want_the_same_parts_in_another_order_all_pass(database_url: SecretStr) -> None:
    orders = [("a", "b", "c"), ("c", "b", "a"), ("b", "c"), ("c", "a")]

    def passes(number: int) -> int:
        with part(database_url, *orders[number % 4]).hold(f"run-{number}", wait_s=PATIENCE_S) as held:
            held.verify()
        return number

    with ThreadPoolExecutor(12) as pool:
        assert sorted(pool.map(passes, range(12))) == list(range(12))


def test_a_part_behind_a_pooler_in_transaction_mode_is_refused_and_keeps_no_lock(database_url: SecretStr) -> None:
    with (
        transaction_pooler(database_url) as pooled,
        pytest.raises(GateError, match="set EVALOPS_LOCK_DATABASE_URL to the server itself"),
        part(pooled, "explain", "extract").hold("run", wait_s=5),
    ):
        pass
    with ExitStack() as stack:
        for feature in ("explain", "extract"):
            stack.enter_context(part(database_url, feature).hold(feature, wait_s=PATIENCE_S))
