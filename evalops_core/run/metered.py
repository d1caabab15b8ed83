"""Models whose calls are paid for.

What belongs here: when a call counts as paid, as perhaps paid, and as free. What does not: where amounts go (budget),
retrying (providers).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Protocol, TypeVar

from evalops_core.domain.budget import Caps, Charge, Price, Purpose, bound, embedding_bound
from evalops_core.domain.chat import ChatModel, ChatReply, ChatRequest, Embedded, EmbeddingModel, ModelRef, Usage
from evalops_core.errors import CallError, ConfigError
from evalops_core.providers.pace import CancelledUnsentError, TooLateError
from evalops_core.providers.retry import BeforeRetry
from evalops_core.run.stage import StopStageError

_ZERO = Decimal(0)
_ONE_TOKEN = Usage(1, 0)  # of a question: there is one in every call, and in those of embeddings no other


class RetryingChat(ChatModel, Protocol):
    """A chat model that tells of each attempt that it repeats."""

    async def complete(self, request: ChatRequest, *, before_retry: BeforeRetry | None = None) -> ChatReply: ...


class RetryingEmbeddings(EmbeddingModel, Protocol):
    """An embedding model that makes one request of each call, and tells of each attempt that it repeats."""

    async def embed(self, texts: Sequence[str], *, before_retry: BeforeRetry | None = None) -> Embedded: ...


class Spending(Protocol):
    """Where the money of paid calls is counted: `run.budget.Spending` of an eval run, `run.drift.purse.Purse`."""

    @property
    def caps(self) -> Caps: ...

    def today(self) -> date: ...

    async def reserve(self, worst_usd: Decimal, day: date) -> None: ...

    def charge(self, charge: Charge) -> None: ...

    def release(self, amount: Decimal, day: date) -> None: ...


class Reply(Protocol):
    """What a paid call brought, as far as it tells what it cost."""

    @property
    def model(self) -> str | None: ...

    @property
    def usage(self) -> Usage: ...


R = TypeVar("R", bound=Reply)


@dataclass(frozen=True, slots=True)
class Meter:
    """The way of every paid call of the model asked for as `name`: into the ledger, and not past a hard cap.

    An attempt that may be on the bill (see `CallError.maybe_billed`) is counted as a call of its own at its worst
    case, and the next attempt is reserved anew.
    """

    name: str
    purpose: Purpose
    price: Price
    spending: Spending

    async def call(self, most: Callable[[], Usage], send: Callable[[BeforeRetry], Awaitable[R]]) -> R:
        """What `send` returns. `most` bounds the tokens of one attempt.

        StopStageError where a hard cap is reached, or the run's deadline has passed.
        """
        spending, day = self.spending, self.spending.today()

        def worst_case() -> Decimal:
            """0 where the model's price is unknown, which a hard cap does not allow."""
            if self.price(self.name, _ONE_TOKEN) is None:  # which is found at once, where `most` reads a whole request
                return _ZERO
            return self.price(self.name, most()) or _ZERO

        worst = worst_case() if spending.caps else _ZERO
        held = False

        def lost() -> Charge:
            assumed = worst or worst_case()
            return Charge(self.purpose, self.name, day, Usage(), None, assumed, worst, answered=False)

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
            reply = await send(before_retry)
        except TooLateError as error:  # nothing of it was sent that has not been charged
            if held:
                spending.release(worst, day)
            raise StopStageError(str(error)) from None
        except CancelledUnsentError:
            if held:
                spending.release(worst, day)
            raise
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
        model = reply.model or self.name
        cost = self.price(model, reply.usage)
        assumed = _ZERO if cost is not None else worst or worst_case()
        spending.charge(Charge(self.purpose, model, day, reply.usage, cost, assumed, worst))
        return reply


@dataclass(frozen=True)
class MeteredChat:
    """`model`, every call of it metered. `completion_ceiling` bounds an answer whose request does not."""

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
        return await Meter(self.ref.name, self.purpose, self.price, self.spending).call(
            lambda: bound(request, self.ref.parameters, self.completion_ceiling),
            lambda before_retry: self.model.complete(request, before_retry=before_retry),
        )


@dataclass(frozen=True)
class MeteredEmbeddings:
    """`model`, every call of it metered; as judging, where it is there for a scorer."""

    model: RetryingEmbeddings
    price: Price
    spending: Spending
    purpose: Purpose = "eval.judge"

    @property
    def name(self) -> str:
        return self.model.name

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """See `EmbeddingModel`; StopStageError where a hard cap is reached."""
        return await Meter(self.name, self.purpose, self.price, self.spending).call(
            lambda: embedding_bound(texts), lambda before_retry: self.model.embed(texts, before_retry=before_retry)
        )


@dataclass(frozen=True)
class FreeEmbeddings:
    """`model`, which runs here and costs nothing: its calls are in no ledger, and no row says that they were made."""

    model: EmbeddingModel

    @property
    def name(self) -> str:
        return self.model.name

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """See `EmbeddingModel`; StopStageError where the run's deadline has passed."""
        try:
            embedded = await self.model.embed(texts)
        except TooLateError as error:
            raise StopStageError(str(error)) from None
        return replace(embedded, model=None, usage=Usage())


def require_price(ref: ModelRef, price: Price, usage: Usage) -> None:
    """ConfigError where a hard cap is to hold and nobody knows what a call of such `usage` costs."""
    if price(ref.name, usage) is None:
        raise ConfigError(
            f'a hard cap is set and the price of {ref.name} is unknown; set it as {{"{ref.name}": '
            '{"input_per_mtok": "…", "output_per_mtok": "…"}}, in US dollars per million tokens',
            key="EVALOPS_PRICES",
        )
