"""How much of what is wanted stands in the answer.

What belongs here: the `contains` scorer. What does not: patterns (regex), likeness (similarity).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from evalops_core.domain.score import LOWEST, Outcome, Score, Unscored
from evalops_core.domain.scorer import ContainsSpec, Scored
from evalops_core.scorers.protocol import Item, one_axis
from evalops_core.scorers.references import reference_texts
from evalops_core.scorers.text import comparable, excerpt


@dataclass(frozen=True)
class ContainsScorer:
    """Compares as `text.comparable` does, punctuation kept. `42` does not stand in `142` or in `42.5`.

    A spec that only forbids needs no reference: an answer with none of the forbidden strings is a 5. A blank answer
    is a 1 in any case.
    """

    spec: ContainsSpec
    version: str = field(default="1", init=False)

    async def score(self, item: Item) -> Sequence[Scored]:
        outcome, rationale = self._judge(item)
        return one_axis(self.spec, outcome, rationale)

    def _judge(self, item: Item) -> tuple[Outcome, str | None]:
        wanted = self._wanted(item)
        if isinstance(wanted, Unscored):
            return wanted, None
        answer = self._plain(item.answer)
        if not answer:
            return Score(LOWEST), "the answer is empty"
        for text in self.spec.forbidden:
            if stands_in(self._plain(text), answer):
                return Score(LOWEST), f"has the forbidden “{excerpt(text, 80)}”"
        missing = [text for text in wanted if not stands_in(self._plain(text), answer)]
        found = len(wanted) - len(missing)
        enough = not missing or (self.spec.mode == "any" and found > 0)
        share = 1.0 if enough else found / len(wanted) if self.spec.mode == "all" else 0.0
        rationale = None if enough else "missing: " + ", ".join(f"“{excerpt(text, 80)}”" for text in missing[:5])
        return Score(1.0 + 4.0 * share), rationale

    def _wanted(self, item: Item) -> tuple[str, ...] | Unscored:
        if self.spec.values:
            return self.spec.values
        if item.case.reference is None and self.spec.forbidden:
            return ()
        wanted = reference_texts(item.case.reference)
        if not isinstance(wanted, Unscored) and not all(self._plain(text) for text in wanted):
            return Unscored("the reference has an empty text, which stands in every answer")
        return wanted

    def _plain(self, text: str) -> str:
        return comparable(text, ignore_case=self.spec.ignore_case)


def stands_in(wanted: str, text: str) -> bool:
    """Whether `wanted` is somewhere in `text` without cutting a number in two."""
    at = text.find(wanted)
    while at >= 0:
        if not (_splits_number(text, at) or _splits_number(text, at + len(wanted))):
            return True
        at = text.find(wanted, at + 1)
    return False


def _splits_number(text: str, at: int) -> bool:
    """Whether the border before `text[at]` lies within a number such as 142 or 4.25."""
    before, after = text[max(at - 2, 0) : at], text[at : at + 2]
    return (
        (before[-1:].isdecimal() and after[:1].isdecimal())
        or (before[-1:].isdecimal() and after[:1] == "." and after[1:].isdecimal())
        or (before[-1:] == "." and before[:-1].isdecimal() and after[:1].isdecimal())
    )
