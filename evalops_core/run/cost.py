"""What an eval run is expected to cost, before any call.

What belongs here: counting the calls that are missing and estimating their tokens. What does not: prices (providers),
what a call may cost at worst (domain.budget, which the hard caps reserve).
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from evalops_core.domain.budget import Price, Purpose, usd
from evalops_core.domain.chat import Message, ModelRef, Usage
from evalops_core.domain.score import Score
from evalops_core.domain.scorer import JudgeSpec, axes_of
from evalops_core.domain.suite import Case
from evalops_core.run.begin import continued
from evalops_core.run.evaluate import Tools
from evalops_core.run.plan import Plan
from evalops_core.scorers.judge_prompt import judge_request
from evalops_core.scorers.protocol import Item
from evalops_core.store.spend import Tokens
from evalops_core.suites.render import PromptRenderer

_BYTES_A_TOKEN = 4  # of English; other languages and code have fewer
_ANSWER, _REASON = 300, 60  # guessed tokens of an answer, and of a judge's words on one axis

Job = tuple[Case, int]
Judging = tuple[Case, int, JudgeSpec]


@dataclass(frozen=True, slots=True)
class Expected:
    """Calls of one purpose. Tokens are of all of them; `basis` says where the numbers come from."""

    purpose: Purpose
    model: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: Decimal | None
    basis: str

    def __str__(self) -> str:
        what = "answers" if self.purpose == "eval.generate" else "judgments"
        if not self.calls:
            return f"no {what} of {self.model} are missing"
        return (
            f"{self.calls} {what} of {self.model}: about {self.prompt_tokens} + {self.completion_tokens} tokens, "
            f"{_cost(self.cost_usd)} ({self.basis})"
        )


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
    jobs, judgings = _all(plan)
    run = continued(plan, tools.runs)
    if run is not None:
        if run.run_type == "scheduled" and run.status == "completed":
            return estimate(plan, [], [], {}, tools.price_of, done=len(jobs) + len(judgings))
        have = {(r.case_id, r.repeat) for r in tools.results.responses(run.id) if r.error_class is None}
        scored = {
            (s.case_id, s.repeat, s.scorer, s.axis)
            for s in tools.results.scores(run.id)
            if isinstance(s.outcome, Score)
        }
        jobs = [(case, repeat) for case, repeat in jobs if (case.id, repeat) not in have]
        judgings = [
            (case, repeat, spec)
            for case, repeat, spec in judgings
            if any((case.id, repeat, spec.name, axis.name) not in scored for axis in axes_of(spec))
        ]
    purposes: tuple[Purpose, ...] = ("eval.generate", "eval.judge")
    history: dict[Purpose, Tokens | None] = {
        purpose: tools.ledger.tokens(plan.suite.feature, purpose) for purpose in purposes
    }
    whole = sum(len(part) for part in _all(plan))
    return estimate(plan, jobs, judgings, history, tools.price_of, done=whole - len(jobs) - len(judgings))


def estimate(
    plan: Plan,
    jobs: Sequence[Job],
    judgings: Sequence[Judging],
    history: Mapping[Purpose, Tokens | None],
    price_of: Callable[[ModelRef], Price],
    *,
    done: int = 0,
) -> CostPlan:
    """The cost of asking `jobs` and judging `judgings`, at the mean tokens of `history` where there are any.

    Without them prompts count a token per four bytes, and answers `max_tokens`, or a guess where the parameters set
    none.
    """
    render = PromptRenderer(plan.suite).render
    answer = _limit(plan.model) or _ANSWER
    parts = [
        _expected(
            "eval.generate",
            plan.model,
            len(jobs),
            history.get("eval.generate"),
            lambda: _mean(_tokens(render(case)) for case, _ in jobs),
            answer,
            price_of,
        )
    ]
    if plan.judge is not None:
        judge = plan.judge

        def prompt(case: Case, spec: JudgeSpec) -> int:
            return _tokens(judge_request(spec.rubric, Item(case, render(case), ""), judge).messages) + answer

        axes = _mean(len(spec.rubric.axes) for _, _, spec in judgings)
        parts.append(
            _expected(
                "eval.judge",
                judge,
                len(judgings),
                history.get("eval.judge"),
                lambda: _mean(prompt(case, spec) for case, _, spec in judgings),
                _limit(judge) or math.ceil(_REASON * axes),
                price_of,
            )
        )
    return CostPlan(plan.suite.feature, tuple(parts), done)


def _all(plan: Plan) -> tuple[list[Job], list[Judging]]:
    judges = [spec for spec in plan.specs if isinstance(spec, JudgeSpec)] if plan.judge is not None else []
    return plan.jobs, [(case, repeat, spec) for case, repeat in plan.jobs for spec in judges]


def _expected(
    purpose: Purpose,
    ref: ModelRef,
    calls: int,
    history: Tokens | None,
    prompt: Callable[[], float],
    completion: int,
    price_of: Callable[[ModelRef], Price],
) -> Expected:
    if history is not None:
        tokens = Usage(math.ceil(history.prompt), math.ceil(history.completion))
        basis = f"the mean of {history.calls} earlier calls"
    else:
        tokens = Usage(math.ceil(prompt()), completion)
        limit = "as many as max_tokens allows" if _limit(ref) else "a guess"
        basis = f"prompts at {_BYTES_A_TOKEN} bytes a token, {completion} tokens an answer: {limit}"
    each = price_of(ref)(ref.name, tokens)
    return Expected(
        purpose,
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
    return sum(len(message.content.encode(errors="replace")) for message in messages) // _BYTES_A_TOKEN


def _mean(numbers: Iterable[float]) -> float:
    found = list(numbers)
    return sum(found) / len(found) if found else 0.0


def _cost(amount: Decimal | None) -> str:
    return "cost unknown" if amount is None else f"about {usd(amount)}"
