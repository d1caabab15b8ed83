"""What may still be spent: the soft daily cap, the hard caps, and the worst that a call may cost.

What belongs here: decisions from amounts, in US dollars. What does not: where amounts are kept (store), what a model
costs (providers), who is stopped (run). A cap that is None, or was configured as 0, is none at all.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, ROUND_UP, Decimal
from typing import Literal, Union

from evalops_core.domain.chat import ChatRequest, Usage
from evalops_core.domain.json import Json, canonical

Purpose = Literal["eval.generate", "eval.judge", "drift.embed"]
Scope = Literal["run", "day"]
Price = Callable[[str, Usage], "Decimal | None"]  # (resolved model id, tokens) → US dollars; None where unknown

_ZERO = Decimal(0)
# tokens that chat templates, schemas and tokenisers put around the texts, generously
_PER_MESSAGE, _PER_REQUEST, _PER_TEXT = 16, 64, 16


@dataclass(frozen=True, slots=True)
class Charge:
    """One call that was paid, or may have been, in the UTC day in which it began.

    An answered embedding call has 0 completion tokens. `cost_usd` is None where it is unknown: the hard caps then count
    `assumed_usd`, the worst case. `answered` is False for a call that was sent and brought no usable answer (a timeout,
    a body that broke off, a cancellation). `released_usd` of what was reserved for the call is free again.
    """

    purpose: Purpose
    model: str
    day: date
    usage: Usage
    cost_usd: Decimal | None
    assumed_usd: Decimal = _ZERO
    released_usd: Decimal = _ZERO
    answered: bool = True


@dataclass(frozen=True, slots=True)
class Entry:
    """What the ledger adds to one (purpose, model, day) of a run; `settled_usd` is None where no cost is known.

    `calls` were answered, `lost_calls` were not and may be billed all the same, `unpriced_calls` counts the answered
    ones of unknown cost.
    """

    purpose: Purpose
    model: str
    day: date
    calls: int = 0
    lost_calls: int = 0
    unpriced_calls: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    settled_usd: Decimal | None = None
    assumed_usd: Decimal = _ZERO


def entries(charges: Iterable[Charge]) -> list[Entry]:
    """The charges summed by purpose, model and day, sorted by them."""
    alike: dict[tuple[Purpose, str, date], list[Charge]] = {}
    for charge in charges:
        alike.setdefault((charge.purpose, charge.model, charge.day), []).append(charge)
    return [_entry(alike[key]) for key in sorted(alike)]


def _entry(charges: Sequence[Charge]) -> Entry:
    """The sum of at least one charge, all of the same purpose, model and day."""
    first, answered = charges[0], sum(charge.answered for charge in charges)
    costs = [charge.cost_usd for charge in charges if charge.cost_usd is not None]
    usage = sum((charge.usage for charge in charges), Usage())
    return Entry(
        first.purpose,
        first.model,
        first.day,
        calls=answered,
        lost_calls=len(charges) - answered,
        unpriced_calls=sum(charge.answered and charge.cost_usd is None for charge in charges),
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        settled_usd=sum(costs, _ZERO) if costs else None,
        assumed_usd=sum((charge.assumed_usd for charge in charges if charge.cost_usd is None), _ZERO),
    )


@dataclass(frozen=True, slots=True)
class Caps:
    """The hard caps of one eval run: on what it may spend, and on what everything may spend in a UTC day."""

    run_usd: Decimal | None = None
    day_usd: Decimal | None = None

    def __bool__(self) -> bool:
        return self.run_usd is not None or self.day_usd is not None


def tightest(*caps: Decimal | None) -> Decimal | None:
    """The lowest of the caps; None and 0 are none."""
    return min((cap for cap in caps if cap), default=None)


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent so far, with what is assumed where the cost is unknown, and what is reserved for calls in flight.

    Both never go down but by settling, and a settlement adds at most what it releases, as far as the bound holds.
    """

    spent_usd: Decimal = _ZERO
    reserved_usd: Decimal = _ZERO

    def with_reserved(self, amount: Decimal) -> "Spent":
        return Spent(self.spent_usd, self.reserved_usd + amount)


@dataclass(frozen=True, slots=True)
class Admitted:
    """The call may be made; its worst case is reserved."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Only what is reserved for calls in flight stands in the way: they may turn out cheaper."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The cap is reached: no call of this cost fits any more."""

    reason: str


Admission = Union[Admitted, Wait, Refused]


def admit(worst_usd: Decimal, caps: Caps, run: Spent, day: Spent) -> Admission:
    """Whether a call that may cost `worst_usd` fits under both caps."""
    waiting: Wait | None = None
    scopes: tuple[tuple[Scope, Decimal | None, Spent], ...] = (
        ("run", caps.run_usd, run),
        ("day", caps.day_usd, day),
    )
    for scope, cap, so_far in scopes:
        if cap is None:
            continue
        if so_far.spent_usd + worst_usd > cap:
            return Refused(_reached(scope, cap, so_far, worst_usd))
        if so_far.spent_usd + so_far.reserved_usd + worst_usd > cap:
            waiting = waiting or Wait(
                f"{_reached(scope, cap, so_far, worst_usd)}, and {usd(so_far.reserved_usd)} is reserved for other calls"
            )
    return waiting or Admitted()


def bound(request: ChatRequest, parameters: Mapping[str, Json], completion_ceiling: int) -> Usage:
    """The most tokens that one attempt at a call may be billed, `parameters` being the model's own.

    Prompt: one token a UTF-8 byte of the messages, the parameters (tools stand there) and the schema, and a fixed
    allowance for what a chat template adds. Byte-level tokenisers never make more than one token of a byte; a usual
    text has one in four. Completion: `max_tokens` or `max_completion_tokens`, times `n`; without them
    `completion_ceiling`, which binds no endpoint: there the bound is only as good as that number.
    """
    asked = {**parameters, **request.parameters}
    texts = sum(_bytes(message.content) for message in request.messages)
    around = _PER_MESSAGE * len(request.messages) + _PER_REQUEST + _bytes(canonical(asked))
    if request.json_schema is not None:
        around += _bytes(canonical(request.json_schema))
    limits = [limit for name in ("max_tokens", "max_completion_tokens") if (limit := _count(asked.get(name)))]
    return Usage(texts + around, (max(limits) if limits else completion_ceiling) * (_count(asked.get("n")) or 1))


def embedding_bound(texts: Sequence[str]) -> Usage:
    """The most tokens that one attempt at embedding `texts` may be billed; there is no completion.

    One token a UTF-8 byte, as in `bound`, and a fixed allowance for what begins and ends each text.
    """
    return Usage(sum(_bytes(text) for text in texts) + _PER_TEXT * len(texts), 0)


@dataclass(frozen=True, slots=True)
class Within:
    """A scheduled run may start; `words` say how much is spent of what, or why nobody knows."""

    words: str


@dataclass(frozen=True, slots=True)
class Over:
    """A scheduled run may not start, for the reason in `words`."""

    words: str


BudgetState = Union[Within, Over]
OnUnknown = Literal["open", "closed"]


def soft_budget(
    spent_usd: Decimal | None, cap_usd: Decimal | None, *, on_unknown: OnUnknown = "open", unpriced_calls: int = 0
) -> BudgetState:
    """Whether the judge may spend more today: it may below the cap, and not at it.

    `spent_usd` None: the ledger could not be read, and `on_unknown` decides. `unpriced_calls` of unknown cost come on
    top of `spent_usd`; they are named and not counted.
    """
    if not cap_usd:
        return Within("no daily budget is set")
    if spent_usd is None:
        words = f"what was spent of {usd(cap_usd)} is unknown: the ledger could not be read"
        return Within(f"{words}, which lets the run go on") if on_unknown == "open" else Over(words)
    words = f"spent {usd(spent_usd)} of {usd(cap_usd)}"
    if unpriced_calls:
        words += f", and {unpriced_calls} calls of unknown cost"
    return Over(words) if spent_usd >= cap_usd else Within(words)


def usd(amount: Decimal) -> str:
    """`$1.20`; with as many more digits as an amount below a cent needs to be seen."""
    if amount == 0 or abs(amount) >= Decimal("0.01"):
        return f"${amount.quantize(Decimal('0.01'), ROUND_HALF_UP)}"
    return f"${amount.quantize(Decimal(1).scaleb(amount.adjusted() - 1), ROUND_UP):f}"


def _reached(scope: Scope, cap: Decimal, so_far: Spent, worst_usd: Decimal) -> str:
    whose = "eval run" if scope == "run" else "day"
    return (
        f"the hard cap of {usd(cap)} for one {whose} is reached: {usd(so_far.spent_usd)} is spent, "
        f"and the next call may cost up to {usd(worst_usd)}"
    )


def _bytes(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))


def _count(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
