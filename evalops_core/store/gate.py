"""The gate that lets one eval run at a time through, across processes, hosts and deployments.

What belongs here: taking it with patience, knowing that it is still held, letting go of it whatever happens. What does
not: the statements (gate_lock), the connection (direct), which run should go first (nobody decides that).

The gate is a session's advisory lock, and the session belongs to a thread of its own, the keeper. Signals and
exceptions strike elsewhere, so the one that asked for the gate can be interrupted at any instruction: all the keeper
ever waits for is a word, or silence, from the one who asked. The end of the process ends the session.
"""

import os
import queue
import random
import socket
import threading
import time
import weakref
from collections.abc import Callable, Collection, Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

from pydantic import SecretStr

from evalops_core.errors import DatabaseError
from evalops_core.store.direct import DirectSession
from evalops_core.store.gate_lock import (
    GateError,
    GateHeldError,
    GateLock,
    GateLostError,
    Holder,
    pooled,
    refuse_pooled,
    runs_present,
    session_name,
)

__all__ = ["Gate", "GateError", "GateHeldError", "GateLostError", "Held", "Holder"]

_PAUSES_S = (0.05, 0.5)  # between two tries, the first ones sooner
_PING_S = 2.0
_STALE_S = 6.0  # less than the 10 s after which the server gives a silent client up
_ANSWER_S = 10.0
_CONNECT_S = 15.0
_POLITE_S = 2.0
_NO_WAIT_S = 0.001  # a SimpleQueue of Python 3.10 may wait for ever where its time-out is over by its second look


class Gate:
    """The gate called `name` in the database of `url`, which must lead to the server itself or to a pool of sessions.

    Gates with different names have nothing to do with each other. With `parts` it is those parts of the gate alone: who
    holds others does not stand in the way, who holds the whole does. Nothing is connected until it is asked for.
    """

    def __init__(self, url: SecretStr, name: str = "evalops", parts: Collection[str] = ()) -> None:
        self._url, self._lock = url, GateLock(name, tuple(parts))

    @contextmanager
    def hold(self, run: str, *, wait_s: float, said: Callable[[str], None] | None = None) -> "Generator[Held]":
        """Hold it for the block. Nobody else does, nested holds of the same process included.

        `run` is the Dagster root run's id. Waits at most `wait_s` seconds; `said` is told once, in a sentence, if that
        is necessary and for whom. GateHeldError when the time is over, GateError where this database cannot serve as a
        gate, DatabaseError where it cannot be reached. However the block ends, the gate is free afterwards.
        """
        if not 0 <= wait_s < threading.TIMEOUT_MAX / 2:
            raise ValueError(f"a wait is a number of seconds from 0 on, not {wait_s}")
        keeper = _Keeper(self._url, self._lock, session_name(run, socket.gethostname()), wait_s)
        lease = _Lease()  # dies with this frame, even if a second interruption strikes amid the release
        weakref.finalize(lease, keeper.dismiss).atexit = False
        try:
            keeper.thread.start()
            keeper.await_taken(said)
            yield Held(keeper)
        finally:
            keeper.release()

    def holder(self) -> Holder | None:
        """Who stands in the way of taking it, the longest of several; None while it is free."""
        return next(iter(self.holders()), None)

    def holders(self) -> list[Holder]:
        """All who stand in the way of taking it, the longest first."""
        with closing(DirectSession(self._url, "evalops")) as session:
            return self._lock.holders(session)

    def runs_present(self) -> frozenset[str]:
        """The ids of the runs that hold a gate of this database or wait for one: those whose process lives."""
        with closing(DirectSession(self._url, "evalops")) as session:
            return runs_present(session)


class Held:
    """The gate in one's hand. To be asked before anything is paid or committed; from any thread."""

    def __init__(self, keeper: "_Keeper") -> None:
        self._keeper = keeper

    def ensure(self) -> None:
        """GateLostError if it is not held any more, as far as was known in the last seconds. Costs nothing."""
        self._keeper.check_owner()
        if abs(time.time() - self._keeper.confirmed_at) > _STALE_S:  # this process was stopped, or the server is slow
            self.verify()

    def verify(self) -> None:
        """The same, after asking the server; GateLostError also if it does not answer in 10 s."""
        self._keeper.ask()


class _Lease:
    """Something to outlive."""


@dataclass(frozen=True, slots=True)
class _Taken:
    """The news that the gate is ours."""


class _Keeper:
    """The thread with the session, and the two queues between it and the one who asked for the gate.

    Queues, because putting something in cannot block, so signal handlers and finalizers may. Orders are None for "let
    go" or a queue that wants an answer; news are a holder to wait for, an error, or that it is done.
    """

    def __init__(self, url: SecretStr, lock: GateLock, name: str, wait_s: float) -> None:
        self._url, self._lock, self._name, self._wait_s = url, lock, name, wait_s
        self._deadline = time.monotonic() + wait_s
        self._owner = os.getpid()
        self._orders: queue.SimpleQueue[queue.SimpleQueue[bool] | None] = queue.SimpleQueue()
        self._news: queue.SimpleQueue[Holder | _Taken | BaseException] = queue.SimpleQueue()
        self._session: DirectSession | None = None
        self._lost: str | None = None
        self.confirmed_at = 0.0
        self.thread = threading.Thread(target=self._keep, name=name, daemon=True)

    # What the one who asked for the gate does

    def await_taken(self, said: Callable[[str], None] | None) -> None:
        while True:
            try:
                news = self._news.get(timeout=max(0.0, self._deadline - time.monotonic()) + _CONNECT_S)
            except queue.Empty:
                raise GateError("the database does not answer, so the gate cannot be taken") from None
            if isinstance(news, BaseException):
                raise news
            if isinstance(news, _Taken):
                return
            if said:
                said(f"waiting up to {self._wait_s:.0f} s for the gate, which is held by {news}")

    def check_owner(self) -> None:
        if os.getpid() != self._owner:
            raise GateLostError("the gate is held by the process that this one was forked off from, not by this one")
        if self._lost:
            raise GateLostError(self._lost)

    def ask(self) -> None:
        self.check_owner()
        answer: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._orders.put(answer)
        give_up_at = time.monotonic() + _ANSWER_S
        while time.monotonic() < give_up_at:
            with suppress(queue.Empty):
                answer.get(timeout=0.1)
                return
            self.check_owner()
        raise GateLostError("the database does not answer, so it cannot be known whether the gate is still held")

    def release(self) -> None:
        """Free it, in good order if the server answers and by cutting the connection if not."""
        if os.getpid() != self._owner:
            return
        self.dismiss()
        try:
            if self.thread.is_alive():
                self.thread.join(_POLITE_S)
        finally:
            if self._session:
                self._session.cut()

    def dismiss(self) -> None:
        if os.getpid() == self._owner:
            self._lost = self._lost or "the gate was let go of"
            self._orders.put(None)

    # What its own thread does

    def _keep(self) -> None:
        try:
            with closing(DirectSession(self._url, self._name, configured=False)) as session:
                self._session = session
                with closing(DirectSession(self._url, "evalops", configured=False)) as beside:
                    refuse_pooled(session, beside)
                session.configure()
                pid = self._take(session)
                if pid is not None:
                    self._watch(session, pid)
        except BaseException as error:  # noqa: BLE001  # whatever it is, the one who asked is told
            self._lost = self._lost or f"the gate was lost, and another run may hold it by now: {error}"
            self._news.put(error)

    def _take(self, session: DirectSession) -> int | None:
        """The server's process id; None if it is not wanted any more."""
        pause, told = _PAUSES_S[0], False
        while not self._dismissed(0):
            pid = self._lock.take(session)
            if pid is not None:
                return pid
            left = self._deadline - time.monotonic()
            if left <= 0 or not told:
                # None if it has just left, and then it is worth another try
                holder = next(iter(self._lock.holders(session)), None)
                if holder and left <= 0:
                    raise GateHeldError(holder, self._wait_s)
                if left <= -_POLITE_S:
                    raise GateError("the gate changes hands too fast to be taken or to see who holds it")
                if holder:
                    self._news.put(holder)
                    told = True
            if left > 0 and self._dismissed(min(left, random.uniform(pause / 2, pause))):
                return None
            pause = min(2 * pause, _PAUSES_S[1])
        return None

    def _watch(self, session: DirectSession, pid: int) -> None:
        if not self._lock.is_held_by(session, pid):
            with suppress(DatabaseError):  # it is out of reach in some pooled session, which is ended for it
                session.row("SELECT pg_terminate_backend(:pid)", pid=pid)
            raise pooled()
        self.confirmed_at = time.time()
        self._news.put(_Taken())
        while True:
            order = None
            try:
                order = self._orders.get(timeout=_PING_S)
                if order is None:
                    break
            except queue.Empty:
                pass
            if not self._lock.is_held_by(session, pid):
                raise GateLostError("its session does not hold it any more")
            self.confirmed_at = time.time()
            if order:
                order.put(True)
        with suppress(DatabaseError):
            session.row("SELECT pg_advisory_unlock_all()")

    def _dismissed(self, within_s: float) -> bool:
        """Whether the order to let go has come; no other can come before the gate is taken."""
        try:
            if within_s < _NO_WAIT_S:
                self._orders.get_nowait()
            else:
                self._orders.get(timeout=within_s)
        except queue.Empty:
            return False
        return True
