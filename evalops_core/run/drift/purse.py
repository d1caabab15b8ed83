"""The money of embedding a day's prompts, which belongs to no eval run.

What belongs here: the day's hard cap before a call, the ledger after it. What does not: what counts as a paid call
(run.metered), an eval run's money (run.budget).

The cap is looked at before the call, together with what eval runs have reserved, and nothing is reserved: one day's
sample is embedded at a time (the drift gate), by one call that costs a fraction of a cent. By that much an eval run
that reserves in the same second may go over it, and a process killed during the call leaves it out of the ledger.
"""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal

from evalops_core.domain.budget import Admitted, Caps, Charge, Spent, admit
from evalops_core.run.stage import StopStageError
from evalops_core.store.spend import SpendLedger


class Purse:
    """What the calls for one `feature` may cost under the hard cap of the day; an async context manager.

    However its block ends, what was paid in it is in the ledger afterwards.
    """

    def __init__(self, feature: str, ledger: SpendLedger, cap_usd: Decimal | None, now: Callable[[], datetime]) -> None:
        self.caps = Caps(day_usd=cap_usd)
        self._feature, self._ledger, self._now = feature, ledger, now
        self._charges: list[Charge] = []

    async def __aenter__(self) -> "Purse":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ledger.add(self._feature, self._charges)
        self._charges = []

    def today(self) -> date:
        """The UTC day that a call which begins now is counted in."""
        return self._now().date()

    async def reserve(self, worst_usd: Decimal, day: date) -> None:
        """StopStageError where a call of that cost has no room under the cap."""
        if not self.caps or worst_usd == 0:
            return
        here = sum((charge.cost_usd or charge.assumed_usd for charge in self._charges), Decimal(0))
        before = self._ledger.of_day(day)
        answer = admit(worst_usd, self.caps, Spent(), Spent(before.spent_usd + here, before.reserved_usd))
        if not isinstance(answer, Admitted):
            raise StopStageError(answer.reason)

    def charge(self, charge: Charge) -> None:
        """A call ended that was paid, or may have been."""
        self._charges.append(charge)

    def release(self, amount: Decimal, day: date) -> None:
        """A call ended that was not paid: nothing was reserved for it."""
