"""The pace of an endpoint, against endpoints that are simulated: no clock runs, so every run of them is the same."""

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalops_core.domain.pace import START, Controller, Ticket


@dataclass
class Simulated:
    """An endpoint that never lacks calls; `limit(now)` in flight and `rps(now)` a second are refused beyond, 0: none.

    `servers` work on one call each, and let the others wait in line. A share of `by_chance` is refused whatever comes.
    """

    latency_s: float
    limit: Callable[[float], int] = lambda _: 0
    rps: Callable[[float], float] = lambda _: 0.0
    servers: int = 0
    sigma: float = 0.0
    by_chance: float = 0.0
    retry_after_s: float | None = 1.0
    answered: int = 0
    refused: int = 0
    starts: list[float] = field(default_factory=list[float])
    highest: dict[int, int] = field(default_factory=dict[int, int])  # by second

    def run(self, controller: Controller, seconds: float) -> None:
        chance, now, number, serving = random.Random(7), 0.0, 0, 0
        bucket, filled_at = self.rps(0.0), 0.0
        free_at = [0.0] * self.servers
        coming: list[tuple[float, int, bool, Ticket]] = []
        while True:
            while controller.opens_at() <= now:
                ticket, number = controller.started(now), number + 1
                self.starts.append(now)
                self.highest[int(now)] = max(self.highest.get(int(now), 0), controller.in_flight)
                rate = self.rps(now)
                bucket, filled_at = min(rate, bucket + (now - filled_at) * rate), now
                over = 0 < self.limit(now) <= serving or (rate > 0 and bucket < 1)
                if over or chance.random() < self.by_chance:
                    heapq.heappush(coming, (now + 0.002, number, False, ticket))
                    continue
                bucket, serving = bucket - 1, serving + 1
                latency = self.latency_s * math.exp(self.sigma * chance.gauss(0, 1))
                if free_at:
                    begin = max(now, heapq.heappop(free_at))
                    heapq.heappush(free_at, begin + latency)
                    latency += begin - now
                heapq.heappush(coming, (now + latency, number, True, ticket))
            opens_at = controller.opens_at()
            now = min(opens_at, coming[0][0] if coming else math.inf)
            if now >= seconds:
                return
            if coming and coming[0][0] <= now:
                _, _, well, ticket = heapq.heappop(coming)
                if well:
                    serving, self.answered = serving - 1, self.answered + 1
                    controller.succeeded(ticket, now)
                else:
                    self.refused += 1
                    controller.throttled(ticket, now, self.retry_after_s)


def always(value: float) -> Callable[[float], float]:
    return lambda _: value


def in_flight(value: int) -> Callable[[float], int]:
    return lambda _: value


@pytest.mark.parametrize("retry_after_s", [1.0, 0.05, None])
@pytest.mark.parametrize("limit", [1, 4, 20, 60])
def test_a_limit_in_flight_is_found_and_kept(limit: int, retry_after_s: float | None) -> None:
    endpoint = Simulated(0.1, limit=in_flight(limit), retry_after_s=retry_after_s)
    endpoint.run(Controller(100), 60)
    assert endpoint.answered >= 0.9 * 60 * limit / 0.1
    assert endpoint.refused <= 0.05 * endpoint.answered + 20


@pytest.mark.parametrize("retry_after_s", [1.0, 0.05, None])
@pytest.mark.parametrize("latency_s", [0.02, 0.2, 0.5])
@pytest.mark.parametrize("rps", [10, 40, 100])
def test_a_limit_on_requests_a_second_is_found_whatever_the_latency(
    rps: float, latency_s: float, retry_after_s: float | None
) -> None:
    endpoint = Simulated(latency_s, rps=always(rps), retry_after_s=retry_after_s)
    endpoint.run(Controller(100), 60)
    assert endpoint.answered >= 0.9 * 60 * rps


def test_latencies_that_vary_hide_no_limit() -> None:
    for endpoint in (
        Simulated(0.2, limit=in_flight(20), sigma=0.6),
        Simulated(0.2, rps=always(50.0), sigma=0.6),
    ):
        endpoint.run(Controller(100), 60)
        possible = endpoint.rps(0) or 20 / (0.2 * math.exp(0.18))
        assert endpoint.answered >= 0.9 * 60 * possible


@pytest.mark.parametrize(("first", "then"), [(40, 20), (20, 40), (100, 5)])
def test_a_limit_that_changes_is_found_again(first: int, then: int) -> None:
    endpoint = Simulated(0.1, limit=lambda now: first if now < 60 else then)
    endpoint.run(Controller(100), 120)
    possible = 60 * (first + then) / 0.1
    assert endpoint.answered >= 0.85 * possible
    controller = Controller(100)
    rates = Simulated(0.1, rps=lambda now: first if now < 60 else then)
    rates.run(controller, 120)
    assert rates.answered >= 0.85 * 60 * (first + then)


def test_an_endpoint_without_limits_gets_as_many_as_may_be_within_a_few_round_trips() -> None:
    endpoint = Simulated(1.0)
    endpoint.run(Controller(100), 6)
    assert [endpoint.highest[second] for second in range(5)] == [8, 16, 32, 64, 100]


def test_the_number_that_somebody_chose_is_used_from_the_start() -> None:
    endpoint = Simulated(1.0)
    endpoint.run(Controller(50, 50), 3)
    assert [endpoint.highest[second] for second in range(3)] == [50, 50, 50]


def test_answers_that_take_longer_the_more_are_in_flight_stop_the_growth() -> None:
    controller, endpoint = Controller(1000), Simulated(0.5, servers=20, sigma=0.3)
    endpoint.run(controller, 60)
    assert controller.limit <= 100
    assert endpoint.answered >= 0.9 * 60 * 20 / (0.5 * math.exp(0.045))


def test_answers_of_very_different_lengths_are_no_collapse() -> None:
    controller, endpoint = Controller(100), Simulated(0.5, sigma=1.0)
    endpoint.run(controller, 60)
    assert controller.limit == 100


def test_answers_that_become_longer_by_themselves_are_no_collapse_for_long() -> None:
    controller = Controller(100)
    now, tickets = 0.0, list[Ticket]()
    for latency_s in [0.1] * 20 + [0.5] * 60:
        while controller.opens_at() <= now:
            tickets.append(controller.started(now))
        now += latency_s
        while tickets:
            controller.succeeded(tickets.pop(), now)
    assert controller.limit == 100


def test_refusals_by_chance_do_not_slow_it_down_for_good() -> None:
    controller, endpoint = Controller(20), Simulated(0.05, by_chance=0.05, retry_after_s=0.2)
    endpoint.run(controller, 300)
    assert controller.limit >= 10
    assert endpoint.answered >= 0.5 * 300 * 20 / 0.4, "some twenty calls, and then the pause"


def test_refusals_by_chance_hold_back_the_refused_call_and_few_others() -> None:
    for by_chance, share in ((0.01, 0.7), (0.05, 0.4)):
        endpoint = Simulated(0.05, by_chance=by_chance)
        endpoint.run(Controller(20, 20), 60)
        assert endpoint.answered >= share * 60 * 20 / 0.05, "of which 2 and 1 in a hundred were reached by all waiting"
        assert endpoint.refused <= 1.5 * by_chance * endpoint.answered


def all_at_once(controller: Controller, calls: int) -> list[Ticket]:
    return [controller.started(0.0) for _ in range(calls)]


def test_a_refusal_among_answers_ends_its_pause() -> None:
    controller = Controller(20, 20)
    tickets = all_at_once(controller, 20)
    controller.throttled(tickets[6], 0.002, 60.0)
    for ticket in tickets[:6]:
        controller.succeeded(ticket, 0.05)
    assert controller.closed_until == 60.002, "those were taken before"
    for ticket in tickets[7:]:
        controller.succeeded(ticket, 0.05)
    assert controller.opens_at() <= 0.05


def test_answers_in_the_places_that_refused_calls_left_do_not_end_a_pause() -> None:
    controller = Controller(40, 40)
    tickets = all_at_once(controller, 30)  # of which twenty are taken
    for _ in range(10):  # one place becomes free, and two calls come for it
        controller.succeeded(tickets.pop(0), 0.0)
        tickets += [controller.started(0.0), controller.started(0.0)]
    refused, taken = [*tickets[10:20], *tickets[21::2]], tickets[20::2]
    for ticket in refused:
        controller.throttled(ticket, 0.002, 1.0)
    for ticket in taken:
        controller.succeeded(ticket, 0.1)
    assert controller.opens_at() >= 1.002


def test_answers_after_a_pause_do_not_show_that_it_was_by_chance() -> None:
    controller = Controller(20, 20)
    for pause in range(3):
        now = 10.0 * pause
        controller.throttled(controller.started(now), now, 1.0)
        assert controller.opens_at() >= now + 1, "nor the next one"
        for ticket in [controller.started(now + 5) for _ in range(10)]:
            controller.succeeded(ticket, now + 6)


def refusing_by_chance() -> Controller:
    controller = Controller(20, 20)
    refused, *others = all_at_once(controller, 20)
    controller.throttled(refused, 0.002, 1.0)
    for ticket in others:
        controller.succeeded(ticket, 0.05)
    return controller


def test_after_a_refusal_by_chance_one_call_is_sent_and_no_other_until_it_is_answered() -> None:
    controller = refusing_by_chance()
    refused, other, late = (controller.started(1.0) for _ in range(3))
    controller.throttled(refused, 1.1, 60.0)
    assert controller.opens_at() <= 1.1
    asking = controller.started(1.1)
    controller.succeeded(other, 1.11)
    controller.throttled(late, 1.11, 1.0)
    assert controller.opens_at() == 61.1
    controller.failed(asking, 1.12)
    assert controller.opens_at() <= 1.12, "a reset is no answer"
    controller.succeeded(controller.started(1.12), 1.2)
    assert controller.opens_at() <= 1.2


@pytest.mark.parametrize("pause_s", [1.0, None])
def test_an_endpoint_that_begins_to_mean_its_refusals_is_soon_left_alone_in_its_pauses(pause_s: float | None) -> None:
    controller, now, in_pauses = refusing_by_chance(), 1.0, 0
    for _ in range(50):
        now = max(now, controller.opens_at())
        in_pauses += now < controller.closed_until
        controller.throttled(controller.started(now), now + 0.01, pause_s)
        now += 0.01
        assert in_pauses < 3 or controller.rate is not None or controller.limit <= 10, "and asked for less"
    assert in_pauses == 3


def test_it_does_not_grow_while_fewer_are_wanted_than_may_be() -> None:
    controller = Controller(100)
    for second in range(100):
        controller.succeeded(controller.started(float(second)), second + 0.5)
    assert controller.limit == START


def test_one_round_trip_costs_one_cut_however_many_it_refuses() -> None:
    controller = Controller(100, 100)
    tickets = [controller.started(0.0) for _ in range(60)]
    for ticket in tickets[:40]:
        controller.succeeded(ticket, 0.1)
    for ticket in tickets[40:]:
        controller.throttled(ticket, 0.1, None)
    assert 20 <= controller.limit <= 40
    assert controller.refusals == 20


def test_an_endpoint_that_refuses_everything_and_asks_for_no_pause_is_asked_ever_more_rarely() -> None:
    controller, now, starts = Controller(100), 0.0, list[float]()
    for _ in range(20):
        now = max(now, controller.opens_at())
        starts.append(now)
        controller.throttled(controller.started(now), now, None)
    pauses = [later - earlier for earlier, later in pairwise(starts)]
    assert [round(pause, 6) for pause in pauses] == sorted(round(pause, 6) for pause in pauses)
    assert (pauses[0], pauses[-1]) == (pytest.approx(0.2), pytest.approx(5.0))


def test_the_longest_pause_that_was_asked_for_holds() -> None:
    controller = Controller(8)
    short, long, late = (controller.started(0.0) for _ in range(3))
    controller.throttled(long, 1.0, 30.0)
    controller.throttled(short, 1.1, 2.0)
    controller.succeeded(late, 1.2)
    assert controller.opens_at() == 31.0


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[str, float, float | None]]:
    kinds = st.sampled_from(["start", "succeed", "throttle", "fail", "time out"])
    pauses = st.none() | st.floats(0, 100)
    return draw(st.lists(st.tuples(kinds, st.floats(0, 10), pauses), max_size=200))


@given(stories(), st.integers(1, 50), st.integers(0, 50))
def test_whatever_happens_its_limits_hold(
    story: list[tuple[str, float, float | None]], ceiling: int, start: int
) -> None:
    controller, tickets, now, closed_until, in_pause = Controller(ceiling, start), list[Ticket](), 0.0, -math.inf, 0
    for kind, passed, pause in story:
        now += passed
        if kind == "start":
            if controller.opens_at() <= now:
                in_pause += now < closed_until
                assert in_pause <= 1, "one call may ask whether a pause is meant"
                tickets.append(controller.started(now))
                assert len(tickets) <= ceiling
        elif tickets:
            ticket = tickets.pop(0)
            if kind == "throttle":
                in_pause = 0 if now >= closed_until else in_pause
                controller.throttled(ticket, now, pause)
                closed_until = max(closed_until, now + (pause or 0.0))
            elif kind == "succeed":
                controller.succeeded(ticket, now)
                closed_until = min(closed_until, controller.closed_until)  # an answer may end a pause
            else:
                in_pause = 0  # what asked may have ended without an answer
                controller.failed(ticket, now, slow=kind == "time out")
        assert 1 <= controller.limit <= ceiling
        assert controller.rate is None or 0 < controller.rate < math.inf
        assert controller.in_flight == len(tickets)
        assert tickets or controller.opens_at() < math.inf, "with nothing in flight it opens some time"
