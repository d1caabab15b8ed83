"""What an eval run is expected to cost, before any call.

What belongs here: counting the calls that are missing and estimating their tokens. What does not: prices (providers),
what a call may cost at worst (domain.budget, which the hard caps reserve).
"""

import math
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeVar

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
Job = tuple[Case, int]
Judging = tuple[Case, int, JudgeSpec]
Embedding = tuple[Case, int, SimilaritySpec]
Spec = TypeVar("Spec", JudgeSpec, SimilaritySpec)

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

    Reads the store and calls nothing.
    """
    jobs, judgings, embeddings = _jobs(plan)
    whole = len(jobs) + len(judgings) + len(embeddings)
    run = continued(plan, tools.runs)
    if run is not None:
        if run.run_type == "scheduled" and run.status == "completed":
            return estimate(plan, [], [], [], {}, tools.price_of, done=whole)
        have, scored = tools.results.answered(run.id), tools.results.scored(run.id)
        jobs = [(case, repeat) for case, repeat in jobs if (case.id, repeat) not in have]
        judgings, embeddings = _missing(judgings, scored), _missing(embeddings, scored)
    history: dict[What, Tokens | None] = {
        what: tools.ledger.tokens(plan.suite.feature, purpose, embeddings=embeds)
        for what, (purpose, embeds) in _HISTORY.items()
    }
    done = whole - len(jobs) - len(judgings) - len(embeddings)
    return estimate(plan, jobs, judgings, embeddings, history, tools.price_of, done=done)


def estimate(
    plan: Plan,
    jobs: Sequence[Job],
    judgings: Sequence[Judging],
    embeddings: Sequence[Embedding],
    history: Mapping[What, Tokens | None],
    price_of: Callable[[ModelRef], Price],
    *,
    done: int = 0,
) -> CostPlan:
    """The cost of asking `jobs`, judging `judgings` and paying for `embeddings`, at the mean tokens of `history`.

    Without history prompts and embedded texts count a token per four bytes, and answers `max_tokens`, or a guess where
    the parameters set none.
    """
    render = PromptRenderer(plan.suite).render
    answer = _limit(plan.model) or _ANSWER

    def part(what: What, ref: ModelRef, calls: int, prompts: Iterable[int], completion: int) -> Expected:
        return _expected(what, ref, calls, history.get(what), prompts, completion, price_of(ref))

    def judge_prompt(judge: ModelRef, case: Case, spec: JudgeSpec) -> int:
        return _tokens(judge_request(spec.rubric, Item(case, render(case), ""), judge).messages) + answer

    parts = [part("answers", plan.model, len(jobs), (_tokens(render(case)) for case, _ in jobs), answer)]
    if plan.judge is not None:
        judge, axes = plan.judge, _mean([len(spec.rubric.axes) for _, _, spec in judgings])
        prompts = (judge_prompt(judge, case, spec) for case, _, spec in judgings)
        parts.append(part("judgments", judge, len(judgings), prompts, _limit(judge) or math.ceil(_REASON * axes)))
    if plan.embedding is not None:
        texts = (answer + _size(_references(case)) for case, _, _ in embeddings)
        parts.append(part("embeddings", plan.embedding, len(embeddings), texts, 0))
    return CostPlan(plan.suite.feature, tuple(parts), done)


def _jobs(plan: Plan) -> tuple[list[Job], list[Judging], list[Embedding]]:
    """All calls of the plan; a case without a text to be like is not embedded."""
    judges = [spec for spec in plan.specs if isinstance(spec, JudgeSpec) and plan.judge]
    similar = [spec for spec in plan.specs if isinstance(spec, SimilaritySpec) and spec.metric == "embedding"]
    embedders = similar if plan.embedding else []
    return (
        plan.jobs,
        [(case, repeat, spec) for case, repeat in plan.jobs for spec in judges],
        [(case, repeat, spec) for case, repeat in plan.jobs for spec in embedders if _references(case)],
    )


def _missing(
    scorings: Sequence[tuple[Case, int, Spec]], scored: Container[tuple[str, int, str, str]]
) -> list[tuple[Case, int, Spec]]:
    return [
        (case, repeat, spec)
        for case, repeat, spec in scorings
        if any((case.id, repeat, spec.name, axis.name) not in scored for axis in axes_of(spec))
    ]


def _references(case: Case) -> Sequence[str]:
    """What the similarity scorer embeds beside the answer; nothing where it finds nothing to compare with."""
    found = reference_texts(case.reference)
    return () if isinstance(found, Unscored) or not all(text.strip() for text in found) else found


def _expected(
    what: What,
    ref: ModelRef,
    calls: int,
    history: Tokens | None,
    prompts: Iterable[int],
    completion: int,
    price: Price,
) -> Expected:
    """`prompts` are the guessed tokens of each call's, `completion` those of every answer; a `history` is better."""
    if history is not None:
        tokens = Usage(math.ceil(history.prompt), math.ceil(history.completion))
        basis = f"the mean of {history.calls} earlier calls"
    else:
        tokens = Usage(math.ceil(_mean(list(prompts))), completion)
        limit = "as many as max_tokens allows" if _limit(ref) else "a guess"
        basis = f"prompts at {_BYTES_A_TOKEN} bytes a token, {completion} tokens an answer: {limit}"
        if what == "embeddings":
            basis = f"texts at {_BYTES_A_TOKEN} bytes a token, the answer's a guess"
    each = price(ref.name, tokens)
    return Expected(
        what,
        _HISTORY[what][0],
        ref.name,
        calls,
        (tokens.prompt_tokens or 0) * calls,
        (tokens.completion_tokens or 0) * calls,
        Decimal(0) if not calls else None if each is None else each * calls,
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


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers) if numbers else 0.0


def _cost(amount: Decimal | None) -> str:
    return "cost unknown" if amount is None else f"about {usd(amount)}"
