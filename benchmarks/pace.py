"""What share of an endpoint's capacity the calls reach when nobody says how many to make: `python -m benchmarks.pace`.

What belongs here: mock endpoints on loopback that refuse what is too much (so many in flight, so many a second, one
that changes halfway), asked for some seconds by as many tasks as a stage has, through the same client. What does not:
what a whole run costs (`python -m benchmarks`). The goal is 90 %, the start included. 100 % is the endpoint's rate, or
where it limits calls in flight, what the same client reaches with exactly that many tasks.
"""

import argparse
import asyncio
import itertools
import os
from dataclasses import dataclass

from evalops_core.domain.chat import ChatRequest, Message, ModelRef
from evalops_core.errors import CallError
from evalops_core.providers.chat import ChatClient
from evalops_core.providers.http import open_session
from evalops_core.providers.pace import CEILING, Paces
from evalops_core.providers.retry import CallPolicy
from tests.mock_fixture import MockOpenAI, start_mock


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What the mock takes: so many `in_flight`, so many a second (`rps`), 0 for any number; `then` from halfway on."""

    latency_ms: float
    in_flight: int = 0
    rps: float = 0.0
    then: int = 0
    sigma: float = 0.0
    retry_after: str = "1"

    def __str__(self) -> str:
        limit = f"{self.rps:g} a second" if self.rps else f"{self.in_flight} in flight"
        then = f", then {self.then}" if self.then else ""
        noise = f" (σ {self.sigma})" if self.sigma else ""
        return f"{limit}{then}, {self.latency_ms:g} ms{noise}, Retry-After {self.retry_after or 'absent'}"


ENDPOINTS = (
    Endpoint(50, in_flight=4),
    Endpoint(50, in_flight=16),
    Endpoint(200, in_flight=40),
    Endpoint(1000, in_flight=60),
    Endpoint(50, in_flight=16, retry_after=""),
    Endpoint(200, in_flight=40, retry_after=""),
    Endpoint(20, rps=10),
    Endpoint(20, rps=100),
    Endpoint(200, rps=100),
    Endpoint(200, rps=100, sigma=0.5),
    Endpoint(1000, rps=50),
    Endpoint(200, rps=100, retry_after=""),
    Endpoint(100, in_flight=40, then=20),
    Endpoint(100, in_flight=20, then=40),
    Endpoint(100, in_flight=20, then=40, retry_after=""),
    Endpoint(100, rps=100, then=50),
    Endpoint(100, rps=50, then=100),
)


async def ask(
    mock: MockOpenAI, endpoint: Endpoint, seconds: float, tasks: int = CEILING, *, known: bool = False
) -> tuple[int, int, Paces]:
    """Answers and failed calls of `tasks` that ask one after the other until the time is over; `known`: unpaced."""
    paces, numbers, answered, failed = Paces(), itertools.count(), 0, 0
    async with open_session(tasks) as session:
        pace, _ = paces.of(mock.base_url, None, "mock-model")
        ref = ModelRef("mock-model", mock.base_url)
        client = ChatClient(session, ref, None, CallPolicy(), pace=None if known else pace)

        async def worker() -> None:
            nonlocal answered, failed
            for number in numbers:
                try:
                    await client.complete(ChatRequest([Message("user", f"case-{number:06d}")]))
                    answered += 1
                except CallError:
                    failed += 1

        workers = [asyncio.ensure_future(worker()) for _ in range(tasks)]
        await asyncio.sleep(seconds / 2)
        if endpoint.then and not known:
            limit = {"rps_limit": float(endpoint.then)} if endpoint.rps else {"inflight_limit": endpoint.then}
            await asyncio.to_thread(lambda: mock.configure(**limit))
        await asyncio.sleep(seconds / 2)
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return answered, failed, paces


def possible_rate(mock: MockOpenAI, endpoint: Endpoint, limit: float) -> float:
    """Answers a second."""
    if endpoint.rps:
        return min(limit, CEILING / (endpoint.latency_ms / 1000))
    mock.configure(inflight_limit=0)
    latency_s = endpoint.latency_ms / 1000
    seconds = max(4.0, 8 * latency_s) + latency_s / 2  # all end together, round after round: cut between two
    answered, _, _ = asyncio.run(ask(mock, endpoint, seconds, int(limit), known=True))
    return answered / (seconds - latency_s / 2)  # the last ones are cut off in the middle


def main() -> None:
    """Measure each endpoint, a line for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pace", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--only", type=int, nargs="*", help="numbers of endpoints, from 0")
    chosen = parser.parse_args()
    process, mock = start_mock()
    with process:
        for number, endpoint in enumerate(ENDPOINTS):
            if chosen.only and number not in chosen.only:
                continue
            mock.reset()
            mock.configure(
                latency_ms=endpoint.latency_ms,
                latency_sigma=endpoint.sigma,
                retry_after=endpoint.retry_after,
            )
            limits = [endpoint.rps or endpoint.in_flight]
            limits.append(endpoint.then or limits[0])
            possible = sum(possible_rate(mock, endpoint, limit) for limit in limits) * chosen.seconds / 2
            mock.configure(rps_limit=endpoint.rps, inflight_limit=endpoint.in_flight)
            before = os.times()
            answered, failed, paces = asyncio.run(ask(mock, endpoint, chosen.seconds))
            after = os.times()
            cpu = after.user + after.system - before.user - before.system
            print(
                f"{number:2} {endpoint}: {answered / possible:.0%} ({answered} answers, {failed} failed; {paces}; "
                f"{1000 * cpu / max(answered, 1):.2f} ms CPU a call)",
                flush=True,
            )
        process.terminate()


if __name__ == "__main__":
    main()
