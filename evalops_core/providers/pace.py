"""Waiting for one's turn at an endpoint: the one place where all calls of an event loop to it meet.

What belongs here: who waits, who is next, what somebody's limits a minute allow. What does not: how many may be in
flight (domain.pace), what is tried again (retry).
"""

import asyncio
import math
from collections import deque
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field

from aiolimiter import AsyncLimiter
from pydantic import SecretStr
from yarl import URL

from evalops_core.domain.pace import START, Controller, Ticket
from evalops_core.errors import PermanentError, TransientError

CEILING = 100  # calls in flight at an endpoint for which nobody set another number
_THROTTLED = frozenset({429, 503, 529})  # 529: Anthropic's word for overloaded


class NotSentError(TransientError):
    """The call could not be sent in time."""


class TooLateError(PermanentError):
    """No call may start any more."""


class CancelledUnsentError(asyncio.CancelledError):
    """The call was cancelled before it was sent: nobody can charge for it."""


@dataclass(eq=False, slots=True)
class _Waiter:
    turn: "asyncio.Future[Ticket]"
    patience_s: float


class Pace:
    """The turns at one endpoint, in the order in which they were asked for; for one event loop.

    No task and no polling: whoever ends lets the next ones in, and one timer waits for the instant at which the
    endpoint opens again.
    """

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self._waiting: deque[_Waiter] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def turn(self, *, latest: float = math.inf, patience_s: float = math.inf) -> Ticket:
        """Return when the call may be sent; `ended` must follow.

        NotSentError where that is not before `latest`, an instant of the loop's clock, and at once where the endpoint
        asked everybody to stay away for `patience_s` or longer. CancelledUnsentError where it is cancelled.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now >= latest or self.controller.closed_until - now >= patience_s:
            raise NotSentError
        if not self._waiting and self.controller.opens_at() <= now:
            return self.controller.started(now)
        turn: asyncio.Future[Ticket] = loop.create_future()
        timer = loop.call_at(latest, _give_up, turn) if latest < math.inf else None
        self._waiting.append(_Waiter(turn, patience_s))
        self._let_in()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.ended(turn.result(), answered=False)  # it had been let in at that very moment
            raise CancelledUnsentError from None
        finally:
            if timer is not None:
                timer.cancel()

    def ended(
        self,
        ticket: Ticket,
        *,
        answered: bool,
        status: int | None = None,
        retry_after_s: float | None = None,
        timed_out: bool = False,
    ) -> None:
        """How the call of `ticket` ended; `status` of a refusal."""
        now = asyncio.get_running_loop().time()
        if answered:
            self.controller.succeeded(ticket, now)
        elif status in _THROTTLED:
            self.controller.throttled(ticket, now, retry_after_s)
        else:
            self.controller.failed(ticket, now, slow=timed_out)
        if self._waiting:
            self._let_in()

    def _let_in(self) -> None:
        loop, waiting, controller = asyncio.get_running_loop(), self._waiting, self.controller
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = loop.time()
        while waiting:
            turn = waiting[0].turn
            if controller.closed_until - now >= waiting[0].patience_s:
                _give_up(turn)
            if turn.done():  # also where it was cancelled, or out of time
                waiting.popleft()
                continue
            opens_at = controller.opens_at()
            if opens_at > now:
                if opens_at < math.inf:
                    self._timer = loop.call_at(opens_at, self._let_in)
                return
            waiting.popleft()
            turn.set_result(controller.started(now))


def _give_up(turn: "asyncio.Future[Ticket]") -> None:
    if not turn.done():
        turn.set_exception(NotSentError())


@dataclass(frozen=True, slots=True)
class PerMinute:
    """What somebody's contract with an endpoint allows for one model; None for any number."""

    requests: float | None = None
    tokens: float | None = None


class Allowance:
    """Requests and tokens a minute, spread evenly: at most a second's worth (or one request) at once.

    What a request's tokens are is known when it is answered. Before it is sent the mean of those that were is taken (a
    quarter of its bytes before the first), and what that was wrong by is added to, or taken off, the next: so the sum
    is right, and an estimate that is too high holds nobody back for long.
    """

    def __init__(self, limits: PerMinute) -> None:
        self._requests, self._tokens = _bucket(limits.requests), _bucket(limits.tokens)
        self._door = (
            asyncio.Lock()
        )  # the library lets small amounts in first, which could keep a large one out for ever
        self._owed = self._mean = 0.0
        self._answers = 0

    async def take(self, size: int) -> float:
        """Return when a request of `size` bytes may be sent, with the tokens it was taken to need, for `settle`."""
        async with self._door:
            if self._requests is not None:
                await self._requests.acquire()
            if self._tokens is None:
                return 0.0
            estimate = self._mean if self._answers else size / 4
            due, self._owed = max(0.0, estimate + self._owed), min(0.0, estimate + self._owed)
            while due > 0:  # a bucket takes no more at once than it holds
                part = min(due, self._tokens.max_rate)
                await self._tokens.acquire(part)
                due -= part
            return estimate

    def settle(self, estimate: float, tokens: int | None) -> None:
        """The request was answered and had `tokens`; None where it was not, or nobody counted: the estimate stands."""
        if self._tokens is not None and tokens is not None:
            self._owed += tokens - estimate
            self._answers += 1
            self._mean += (tokens - self._mean) / min(self._answers, 50)


def _bucket(per_minute: float | None) -> AsyncLimiter | None:
    if per_minute is None:
        return None
    held = max(1.0, per_minute / 60)
    return AsyncLimiter(held, 60 * held / per_minute)


def _place(base_url: str, key: SecretStr | None) -> tuple[str, str] | None:
    """What counts as one endpoint: scheme, host and port, and whose key."""
    try:
        return str(URL(base_url).origin()), key.get_secret_value() if key else ""
    except ValueError:
        return None


class Learned:
    """What calls have taught about endpoints, for the next event loop: each of Dagster's steps has one of its own."""

    def __init__(self) -> None:
        self._controllers: dict[tuple[str, str], Controller] = {}

    def of(self, place: tuple[str, str]) -> Controller | None:
        """A copy, for nothing may be shared between two loops that run at once."""
        return deepcopy(self._controllers.get(place))

    def keep(self, place: tuple[str, str], controller: Controller) -> None:
        """From now on this is what is known of `place`; nothing where calls are in flight, for they are another's."""
        if controller.in_flight == 0:
            self._controllers[place] = deepcopy(controller)


@dataclass(eq=False)
class Paces:
    """The paces of one event loop: one for each host and key, and an allowance for each model there that has limits.

    `ceiling` as configured, None for `CEILING`: an endpoint is then asked gently until it has shown what it takes,
    where a number that somebody chose is used from the start. `per_minute` by model; `*` stands for all others. What an
    earlier loop has `learned` is where an endpoint's pace begins. What is kept here by key is never shown.
    """

    ceiling: int | None = None
    per_minute: Mapping[str, PerMinute] = field(default_factory=dict[str, PerMinute])
    learned: Learned = field(default_factory=Learned, repr=False)
    _paces: dict[tuple[str, str], Pace] = field(default_factory=dict[tuple[str, str], Pace], repr=False)
    _allowances: dict[tuple[str, str, str], Allowance] = field(
        default_factory=dict[tuple[str, str, str], Allowance], repr=False
    )

    def of(self, base_url: str, key: SecretStr | None, model: str) -> "tuple[Pace | None, Allowance | None]":
        """What is shared by all who call this host with this key, and by all who call this model there.

        No allowance where the model has no limits; nothing at all where `base_url` is no address, which whoever calls
        it has to say.
        """
        place = _place(base_url, key)
        if place is None:
            return None, None
        if place not in self._paces:
            most = self.ceiling or CEILING
            known = self.learned.of(place)
            if known is None or known.ceiling != most:
                known = Controller(most, most if self.ceiling else START)
            self._paces[place] = Pace(known)
        limits = self.per_minute.get(model, self.per_minute.get("*"))
        if limits is not None and (*place, model) not in self._allowances:
            self._allowances[(*place, model)] = Allowance(limits)
        return self._paces[place], self._allowances.get((*place, model))

    def keep(self) -> None:
        """Leave what was learned to the loop that comes next."""
        for place, pace in self._paces.items():
            self.learned.keep(place, pace.controller)

    @property
    def refusals(self) -> int:
        """Answers 429 or 503 of all of them."""
        return sum(pace.controller.refusals for pace in self._paces.values())

    def __str__(self) -> str:
        return "; ".join(
            f"{host}: at most {pace.controller.highest} calls in flight, {pace.controller.refusals} refused"
            for (host, _), pace in self._paces.items()
        )
