"""The budgets of a deployment, and whether today's allows a scheduled run.

What belongs here: which caps hold for a suite, and reading the ledger for the soft one. What does not: the decision
(domain), calls (budget, metered).
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy.exc import SQLAlchemyError

from evalops_core.domain.budget import BudgetState, Caps, OnUnknown, Over, Within, soft_budget, tightest
from evalops_core.domain.suite import Suite
from evalops_core.errors import DatabaseError
from evalops_core.run.budget import Patience
from evalops_core.store.spend import SpendLedger

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SpendingRules:
    """What a deployment may spend, in US dollars; None and 0 are no cap.

    `daily_budget_usd` is the soft cap of what the judge costs in a UTC day over all features; a suite's own is over
    that feature alone, and both hold. `hard_cap_run_usd` (a suite may set a lower one) and `hard_cap_day_usd` (all
    features, all deployments of this database) bind every call. `completion_ceiling` are the tokens that an answer is
    assumed to have at most where its request does not say.
    """

    daily_budget_usd: Decimal | None = None
    on_unknown: OnUnknown = "open"
    hard_cap_run_usd: Decimal | None = None
    hard_cap_day_usd: Decimal | None = None
    completion_ceiling: int = 16_384
    patience: Patience = Patience()

    def caps(self, suite: Suite) -> Caps:
        """The hard caps of an eval run of `suite`."""
        return Caps(tightest(self.hard_cap_run_usd, suite.hard_cap_usd), tightest(self.hard_cap_day_usd))


def check_daily_budget(suite: Suite, ledger: SpendLedger, rules: SpendingRules, now: datetime) -> BudgetState:
    """Whether the judge may still spend money on a scheduled run of `suite` today (UTC).

    A ledger that cannot be read is logged, and lets the run go on or not as `rules` say.
    """
    own = _check(suite.feature, suite.daily_budget_usd, ledger, rules, now)
    if isinstance(own, Over) or not rules.daily_budget_usd:
        return own
    whole = _check(None, rules.daily_budget_usd, ledger, rules, now)
    return whole if isinstance(whole, Over) or not suite.daily_budget_usd else Within(f"{own.words}; {whole.words}")


def _check(
    feature: str | None, cap: Decimal | None, ledger: SpendLedger, rules: SpendingRules, now: datetime
) -> BudgetState:
    if not cap:
        return soft_budget(None, None)
    try:
        spent = ledger.spent(now.date(), feature=feature, purpose="eval.judge")
    except (DatabaseError, SQLAlchemyError) as error:
        state = soft_budget(None, cap, on_unknown=rules.on_unknown)
        _LOG.warning("%s (%s)", state.words, error)
        return state
    state = soft_budget(spent.usd, cap, unpriced_calls=spent.unpriced_calls)
    whose = "on judging today" if feature is not None else "on judging all features today"
    return type(state)(f"{state.words} {whose}")
