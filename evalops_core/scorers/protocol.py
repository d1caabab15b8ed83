"""What every scorer is given and what it promises.

What belongs here: the port between an eval run and its scorers. What does not: any way of scoring.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from evalops_core.domain.chat import Message
from evalops_core.domain.score import HIGHEST, LOWEST, Outcome, Score
from evalops_core.domain.scorer import Scored, ScorerSpec
from evalops_core.domain.suite import Case


@dataclass(frozen=True, slots=True)
class Item:
    """One answer to score. `prompt` is what the model was really sent, the case already filled in."""

    case: Case
    prompt: Sequence[Message]
    answer: str


class Scorer(Protocol):
    """One spec, ready to score."""

    @property
    def spec(self) -> ScorerSpec: ...

    @property
    def version(self) -> str:
        """Changes whenever the same item may be scored differently: it is part of what makes runs comparable."""
        ...

    async def score(self, item: Item) -> Sequence[Scored]:
        """One `Scored` per axis of `axes_of(spec)`, in that order.

        Never raises for what a model said or a case contains: what cannot be scored is `Unscored` with its reason.
        """
        ...


def pass_or_fail(*, passed: bool) -> Score:
    return Score(HIGHEST if passed else LOWEST)


def one_axis(spec: ScorerSpec, outcome: Outcome, rationale: str | None = None) -> tuple[Scored, ...]:
    """The result of a scorer whose only axis is named as itself."""
    return (Scored(axis=spec.name, outcome=outcome, rationale=rationale),)
