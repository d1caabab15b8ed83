"""What an eval run is expected to cost, before any call.

What belongs here: counting the calls that are missing and estimating their tokens. What does not: prices (providers),
what a call may cost at worst (domain.budget, which the hard caps reserve).
"""

import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from evalops_core.domain.budget import Price, Purpose, usd
from evalops_core.domain.chat import Message, ModelRef, Usage
from evalops_core.domain.score import Unscored
from evalops_core.domain.scorer import JudgeSpec, SimilaritySpec, axes_of
from evalops_core.domain.suite import Case
from evalops_core.run.begin import continued
from evalops_core.run.evaluate import Tools
from evalops_core.run.plan import Plan
from evalops_core.scorers.judge_prompt import judge_request
from evalops_core.scorers.protocol import Item
from evalops_core.scorers.references import reference_texts
from evalops_core.store.spend import Tokens
from evalops_core.suites.render import PromptRenderer

_BYTES_A_TOKEN = 4  # of English; other languages and code have fewer
_ANSWER, _REASON = 300, 60  # guessed tokens of an answer, and of a judge's words on one axis

What = Literal["answers", "judgments", "embeddings"]

_HISTORY: Mapping[What, tuple[Purpose, bool]] = {  # the purpose in the ledger, and whether it is embeddings
    "answers": ("eval.generate", False),
    "judgments": ("eval.judge", False),
    "embeddings": ("eval.judge", True),
}


@dataclass(frozen=True, slots=True)
class Expected:
    """Calls of one kind. Tokens are of all of them; `basis` says where the numbers come from."""

    what: What
    purpose: Purpose
    model: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: Decimal | None
    basis: str

    def __str__(self) -> str:
        if not self.calls:
            return f"no {self.what} of {self.model} are missing"
        tokens = f"{self.prompt_tokens}"
        if self.what != "embeddings":
            tokens += f" + {self.completion_tokens}"
        return f"{self.calls} {self.what} of {self.model}: about {tokens} tokens, {_cost(self.cost_usd)} ({self.basis})"


@dataclass(frozen=True, slots=True)
class CostPlan:
    """The calls that an eval run would make, retries and repairs aside. `done` calls are not made again."""

    feature: str
    parts: tuple[Expected, ...]
    done: int = 0

    @property
    def calls(self) -> int:
        return sum(part.calls for part in self.parts)

    @property
    def prompt_tokens(self) -> int:
        return sum(part.prompt_tokens for part in self.parts)

    @property
    def completion_tokens(self) -> int:
        return sum(part.completion_tokens for part in self.parts)

    @property
    def cost_usd(self) -> Decimal | None:
        """None where the price of any call is unknown."""
        known = [part.cost_usd for part in self.parts if part.cost_usd is not None]
        return sum(known, Decimal(0)) if len(known) == len(self.parts) else None

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The models whose price is unknown."""
        return tuple(dict.fromkeys(part.model for part in self.parts if part.cost_usd is None))

    def __str__(self) -> str:
        lines = [str(part) for part in self.parts]
        tokens = self.prompt_tokens + self.completion_tokens
        lines.append(f"{self.feature}: {self.calls} calls, about {tokens} tokens, {_cost(self.cost_usd)}")
        if self.unpriced:
            lines.append(f"nobody knows the price of {', '.join(self.unpriced)}; EVALOPS_PRICES can tell it")
        if self.done:
            lines.append(f"{self.done} calls of the run that would be continued are done and paid")
        return "\n".join(lines)


def plan_cost(plan: Plan, tools: Tools) -> CostPlan:
    """What the plan would cost now: without what the run that it continues has already, at the tokens of earlier runs.

    Reads the store, a chunk of cases at a time, and calls nothing. Without history prompts and embedded texts count a
    token per four bytes, and answers `max_tokens`, or a guess where the parameters set none.
    """
    run = continued(plan, tools.runs)
    finished = run is not None and run.run_type == "scheduled" and run.status == "completed"
    history: dict[What, Tokens | None] = {
        what: None if finished else tools.ledger.tokens(plan.suite.feature, purpose, embeddings=embeds)
        for what, (purpose, embeds) in _HISTORY.items()
    }
    missing = _Missing(plan, history)
    for chunk in plan.chunks():
        if run is None or finished:
            missing.add(chunk, finished=finished)
        else:
            ids = [case.id for case in chunk]
            missing.add(chunk, tools.results.answered(run.id, ids), tools.results.scored(run.id, ids))
    return CostPlan(plan.suite.feature, tuple(_parts(plan, missing, history, tools.price_of)), missing.done)


@dataclass
class _Calls:
    """Calls of one kind that are missing, with the sum of their prompts' guessed tokens."""

    count: int = 0
    prompt_tokens: int = 0
    axes: int = 0  # of judgments

    def add(self, prompt_tokens: int, axes: int = 0) -> None:
        self.count += 1
        self.prompt_tokens += prompt_tokens
        self.axes += axes

    @property
    def mean_prompt(self) -> int:
        return math.ceil(self.prompt_tokens / self.count) if self.count else 0


class _Missing:
    """The calls of the plan that are not done; `done` counts the others. Texts are looked at where `history` has no
    tokens. A case without a text to be like is not embedded."""

    def __init__(self, plan: Plan, history: Mapping[What, Tokens | None]) -> None:
        self.answers, self.judgments, self.embeddings, self.done = _Calls(), _Calls(), _Calls(), 0
        self._plan, self._history = plan, history
        self._render = PromptRenderer(plan.suite).render
        self._judges = [spec for spec in plan.specs if isinstance(spec, JudgeSpec)] if plan.judge else []
        similar = [spec for spec in plan.specs if isinstance(spec, SimilaritySpec) and spec.metric == "embedding"]
        self._embedders = similar if plan.embedding else []

    def add(
        self,
        cases: Iterable[Case],
        answered: Container[tuple[str, int]] = (),
        scored: Container[tuple[str, int, str, str]] = (),
        *,
        finished: bool = False,
    ) -> None:
        """`finished`: nothing of these is missing."""
        repeats = range(self._plan.suite.repeats)
        for case in cases:
            embedders = self._embedders if self._embedders and _references(case) else []
            specs = [*self._judges, *embedders]
            if finished:
                self.done += len(repeats) * (1 + len(specs))
                continue
            for repeat in repeats:
                if (case.id, repeat) in answered:
                    self.done += 1
                else:
                    self.answers.add(self._asked(case))
                for spec in specs:
                    if all((case.id, repeat, spec.name, axis.name) in scored for axis in axes_of(spec)):
                        self.done += 1
                    elif isinstance(spec, SimilaritySpec):
                        self.embeddings.add(self._embedded(case))
                    else:
                        self.judgments.add(self._judged(case, spec), len(spec.rubric.axes))

    def _asked(self, case: Case) -> int:
        return 0 if self._history["answers"] else _tokens(self._render(case))

    def _judged(self, case: Case, spec: JudgeSpec) -> int:
        judge = self._plan.judge
        if self._history["judgments"] or judge is None:
            return 0
        asked = judge_request(spec.rubric, Item(case, self._render(case), ""), judge)
        return _tokens(asked.messages) + _answer(self._plan)

    def _embedded(self, case: Case) -> int:
        return 0 if self._history["embeddings"] else _answer(self._plan) + _size(_references(case))


def _parts(
    plan: Plan, missing: _Missing, history: Mapping[What, Tokens | None], price_of: Callable[[ModelRef], Price]
) -> Iterator[Expected]:
    def part(what: What, ref: ModelRef, calls: _Calls, completion: int) -> Expected:
        return _expected(what, ref, calls, history[what], completion, price_of(ref))

    yield part("answers", plan.model, missing.answers, _answer(plan))
    if plan.judge is not None:
        judged = missing.judgments
        axes = judged.axes / judged.count if judged.count else 0.0
        yield part("judgments", plan.judge, judged, _limit(plan.judge) or math.ceil(_REASON * axes))
    if plan.embedding is not None:
        yield part("embeddings", plan.embedding, missing.embeddings, 0)


def _answer(plan: Plan) -> int:
    """The guessed tokens of an answer."""
    return _limit(plan.model) or _ANSWER


def _references(case: Case) -> Sequence[str]:
    """What the similarity scorer embeds beside the answer; nothing where it finds nothing to compare with."""
    found = reference_texts(case.reference)
    return () if isinstance(found, Unscored) or not all(text.strip() for text in found) else found


def _expected(
    what: What, ref: ModelRef, calls: _Calls, history: Tokens | None, completion: int, price: Price
) -> Expected:
    """`completion` are the guessed tokens of every answer; a `history` is better."""
    if history is not None:
        tokens = Usage(math.ceil(history.prompt), math.ceil(history.completion))
        basis = f"the mean of {history.calls} earlier calls"
    else:
        tokens = Usage(calls.mean_prompt, completion)
        limit = "as many as max_tokens allows" if _limit(ref) else "a guess"
        basis = f"prompts at {_BYTES_A_TOKEN} bytes a token, {completion} tokens an answer: {limit}"
        if what == "embeddings":
            basis = f"texts at {_BYTES_A_TOKEN} bytes a token, the answer's a guess"
    each = price(ref.name, tokens)
    return Expected(
        what,
        _HISTORY[what][0],
        ref.name,
        calls.count,
        (tokens.prompt_tokens or 0) * calls.count,
        (tokens.completion_tokens or 0) * calls.count,
        Decimal(0) if not calls.count else None if each is None else each * calls.count,
        basis,
    )


def _limit(ref: ModelRef) -> int | None:
    limits = [ref.parameters.get(name) for name in ("max_tokens", "max_completion_tokens")]
    return next((limit for limit in limits if isinstance(limit, int) and limit > 0), None)


def _tokens(messages: Sequence[Message]) -> int:
    return _size([message.content for message in messages])


def _size(texts: Iterable[str]) -> int:
    """Guessed tokens."""
    return sum(len(text.encode(errors="replace")) for text in texts) // _BYTES_A_TOKEN


def _cost(amount: Decimal | None) -> str:
    return "cost unknown" if amount is None else f"about {usd(amount)}"
