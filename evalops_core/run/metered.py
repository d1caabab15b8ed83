"""A chat model whose calls are paid for.

What belongs here: when a call counts as paid, as perhaps paid, and as free. What does not: where amounts go (budget),
retrying (providers).
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from evalops_core.domain.budget import Charge, Price, Purpose, bound
from evalops_core.domain.chat import ChatModel, ChatReply, ChatRequest, ModelRef, Usage
from evalops_core.errors import CallError, ConfigError
from evalops_core.providers.retry import BeforeRetry
from evalops_core.run.budget import Spending

_ZERO = Decimal(0)


class RetryingChat(ChatModel, Protocol):
    """A chat model that tells of each attempt that it repeats."""

    async def complete(self, request: ChatRequest, *, before_retry: BeforeRetry | None = None) -> ChatReply: ...


@dataclass(frozen=True)
class MeteredChat:
    """`model`, with every call of it in the ledger, and none made that could exceed a hard cap.

    An attempt that may be on the bill (see `CallError.maybe_billed`) is counted as a call of its own at its worst
    case, and the next attempt is reserved anew. `completion_ceiling` bounds an answer whose request does not.
    """

    model: RetryingChat
    purpose: Purpose
    price: Price
    spending: Spending
    completion_ceiling: int

    @property
    def ref(self) -> ModelRef:
        return self.model.ref

    async def complete(self, request: ChatRequest) -> ChatReply:
        """See `ChatModel`; StopStageError where a hard cap is reached."""
        spending, day = self.spending, self.spending.today()
        worst = self._worst(request) if spending.caps else _ZERO
        held = False

        def lost() -> Charge:
            assumed = worst or self._worst(request)
            return Charge(self.purpose, self.ref.name, day, Usage(), None, assumed, worst, answered=False)

        async def before_retry(error: CallError) -> None:
            nonlocal held
            if error.maybe_billed:
                held = False
                spending.charge(lost())
                await spending.reserve(worst, day)
                held = True

        await spending.reserve(worst, day)
        held = True
        try:
            reply = await self.model.complete(request, before_retry=before_retry)
        except CallError as error:
            if error.maybe_billed:
                spending.charge(lost())
            else:
                spending.release(worst, day)
            raise
        except BaseException:  # cancelled in the middle, as a rule: the endpoint may finish, and charge for it
            if held:
                spending.charge(lost())
            raise
        cost = self.price(reply.model, reply.usage)
        assumed = _ZERO if cost is not None else worst or self._worst(request)
        spending.charge(Charge(self.purpose, reply.model, day, reply.usage, cost, assumed, worst))
        return reply

    def _worst(self, request: ChatRequest) -> Decimal:
        """What one attempt may cost at most; 0 where the model's price is unknown, which a hard cap does not allow."""
        usage = bound(request, self.ref.parameters, self.completion_ceiling)
        return self.price(self.ref.name, usage) or _ZERO


def require_price(ref: ModelRef, price: Price) -> None:
    """ConfigError where a hard cap is to hold and nobody knows what the model costs."""
    if price(ref.name, Usage(1, 1)) is None:
        raise ConfigError(
            f'a hard cap is set and the price of {ref.name} is unknown; set it as {{"{ref.name}": '
            '{"input_per_mtok": "…", "output_per_mtok": "…"}}, in US dollars per million tokens',
            key="EVALOPS_PRICES",
        )
