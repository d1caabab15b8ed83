"""One stage's money: what its calls cost on its way into the ledger, and their place under the hard caps.

What belongs here: reserving before a call, settling after it together with its rows, and who waits for whom. What does
not: the decision (domain), the ledger's statements (store), what counts as a call (metered).

Without a hard cap nothing is reserved and no call waits for the database: charges pile up and go with the next commit.
"""

import asyncio
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection

from evalops_core.domain.budget import Admitted, Caps, Charge, Refused
from evalops_core.domain.eval_run import EvalRun
from evalops_core.run.stage import StopStageError
from evalops_core.store.spend import Holder, Settlement, SpendLedger

_POLL_S = 0.5
_LOG = logging.getLogger(__name__)
Settle = Callable[[Connection], None]


@dataclass(frozen=True, slots=True)
class Patience:
    """`others_s`: how long a call waits while only other processes' reservations are in its way, before the run stops.

    `ttl` is how long a reservation outlives its holder's last sign of life: longer than any call may take, so that it
    ends with its process at the latest and never before its call.
    """

    others_s: float = 60.0
    ttl: timedelta = timedelta(minutes=15)


@dataclass(eq=False)
class _Asking:
    """A call that wants to be made."""

    worst_usd: Decimal
    day: date
    answer: "asyncio.Future[None]"
    since: float = field(default_factory=time.monotonic)


class Spending:
    """The money of one stage of one eval run; an async context manager, to be used in one event loop.

    Whoever enters it owns the run (holds the gate): what another process left reserved for it is released.
    """

    def __init__(
        self,
        run: EvalRun,
        ledger: SpendLedger,
        caps: Caps,
        now: Callable[[], datetime],
        patience: Patience = Patience(),
    ) -> None:
        self.caps, self.run = caps, run
        self._ledger = ledger
        self._now = now
        self._patience = patience
        self._holder = Holder(run.id, run.feature, uuid.uuid4().hex, patience.ttl)
        self._asking: deque[_Asking] = deque()
        self._clerk: asyncio.Future[None] | None = None
        self._reserved_calls = 0
        self._ended = asyncio.Event()  # a call of ours: what it had reserved may be free
        self._stopped: str | None = None
        self._lock = threading.Lock()
        self._charges: list[Charge] = []
        self._released: dict[date, Decimal] = {}

    async def __aenter__(self) -> "Spending":
        if self.caps:
            await asyncio.to_thread(self._ledger.release_stale, self._holder)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._clerk is not None:
            await asyncio.wait([self._clerk])
        settlement = self._take()
        if self.caps:
            await asyncio.to_thread(self._ledger.close, self._holder, settlement)
        elif settlement:
            await asyncio.to_thread(self._ledger.settle, self._holder, settlement)

    def today(self) -> date:
        """The UTC day that a call which begins now is counted in, whenever it ends."""
        return self._now().date()

    async def reserve(self, worst_usd: Decimal, day: date) -> None:
        """Return once the call fits under the caps, its worst case reserved. StopStageError once they are reached.

        Where only calls in flight are in the way it waits for them to end: for this stage's own as long as they take,
        for other processes' as long as `Patience` says.
        """
        if not self.caps or worst_usd == 0:
            return
        if self._stopped is not None:
            raise StopStageError(self._stopped)
        asking = _Asking(worst_usd, day, asyncio.get_running_loop().create_future())
        self._asking.append(asking)
        if self._clerk is None or self._clerk.done():
            self._clerk = asyncio.ensure_future(self._serve())
        try:
            await asking.answer
        except asyncio.CancelledError:
            if not asking.answer.cancelled() and asking.answer.exception() is None:  # admitted at the same moment
                self.release(worst_usd, day)
            raise

    def charge(self, charge: Charge) -> None:
        """A call ended that was paid, or may have been; what it released is free from the next commit on."""
        with self._lock:
            self._charges.append(charge)
        self._end(charge.released_usd)

    def release(self, amount: Decimal, day: date) -> None:
        """A call ended that was not paid."""
        if amount:
            with self._lock:
                self._released[day] = self._released.get(day, Decimal(0)) + amount
            self._end(amount)

    def save(self, write: Callable[[Settle], None]) -> None:
        """Call `write` with what settles all that ended so far, to be run in the transaction that it writes in.

        May be called from any thread. Rows that were made before this call can never become durable without their
        charges; where `write` fails the charges are kept for the next try.
        """
        settlement = self._take()
        try:
            write(lambda connection: self._ledger.settle(self._holder, settlement, connection))
        except BaseException:
            self._put_back(settlement)
            raise

    def _end(self, amount: Decimal) -> None:
        if amount:
            self._reserved_calls -= 1
            self._ended.set()

    def _take(self) -> Settlement:
        with self._lock:
            settlement = Settlement(self._charges, self._released)
            self._charges, self._released = [], {}
        return settlement

    def _put_back(self, settlement: Settlement) -> None:
        with self._lock:
            self._charges = [*settlement.charges, *self._charges]
            for day, amount in (settlement.released or {}).items():
                self._released[day] = self._released.get(day, Decimal(0)) + amount

    async def _serve(self) -> None:
        """Ask the ledger for everything that is asked for, as long as anything is."""
        try:
            while self._asking:
                if not await self._round():
                    await self._until_something_ends()
        except asyncio.CancelledError:
            for asking in self._asking:
                asking.answer.cancel()
            raise
        except Exception as error:  # noqa: BLE001  # it is for those who wait
            while self._asking:
                _refuse(self._asking.popleft(), error)

    async def _round(self) -> bool:
        """One transaction for all calls of one day that are waiting; False where none of them got an answer."""
        day = self._asking[0].day
        asked = [asking for asking in self._asking if asking.day == day and not asking.answer.done()]
        self._asking = deque(asking for asking in self._asking if asking.day != day)
        if not asked:
            return True
        self._ended.clear()
        settlement = self._take()
        amounts = [asking.worst_usd for asking in asked]
        try:
            answers = await asyncio.to_thread(self._ledger.reserve, self._holder, self.caps, day, amounts, settlement)
        except BaseException:
            self._put_back(settlement)
            self._asking.extendleft(reversed(asked))
            raise
        waiting: list[_Asking] = []
        for asking, answer in zip(asked, answers, strict=True):
            if isinstance(answer, Admitted):
                self._reserved_calls += 1
                if asking.answer.done():  # cancelled meanwhile
                    self.release(asking.worst_usd, day)
                else:
                    asking.answer.set_result(None)
            elif isinstance(answer, Refused) or self._tired(asking):
                self._stopped = self._stopped or answer.reason
            else:
                waiting.append(asking)
        self._asking.extendleft(reversed(waiting))
        if self._stopped is not None:
            stop = StopStageError(self._stopped)
            for asking in (*asked, *self._asking):
                _refuse(asking, stop)
            self._asking.clear()
        return len(waiting) < len(asked)

    def _tired(self, asking: _Asking) -> bool:
        """Whether nothing of ours is in flight that could make room, and others have taken too long."""
        return self._reserved_calls == 0 and time.monotonic() - asking.since > self._patience.others_s

    async def _until_something_ends(self) -> None:
        """A call of ours, or perhaps one of another process."""
        try:
            await asyncio.wait_for(self._ended.wait(), _POLL_S)
        except asyncio.TimeoutError:
            _LOG.debug("waiting for calls in flight to make room under the hard cap")


def _refuse(asking: _Asking, error: Exception) -> None:
    if not asking.answer.done():
        asking.answer.set_exception(error)
