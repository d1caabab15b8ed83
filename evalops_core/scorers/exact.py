"""Equal or not.

What belongs here: the `exact` scorer. What does not: partial credit (contains, similarity).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from evalops_core.domain.json import Json
from evalops_core.domain.score import Unscored
from evalops_core.domain.scorer import ExactSpec, Scored
from evalops_core.scorers.protocol import Item, one_axis, pass_or_fail
from evalops_core.scorers.references import reference_texts
from evalops_core.scorers.text import comparable, excerpt


@dataclass(frozen=True)
class ExactScorer:
    """Compares as `text.comparable` does; a reference that is a number is also met by another spelling of it."""

    spec: ExactSpec
    version: str = field(default="1", init=False)

    async def score(self, item: Item) -> Sequence[Scored]:
        references = reference_texts(item.case.reference)
        if isinstance(references, Unscored):
            return one_axis(self.spec, references)
        answer = self._plain(item.answer)
        equal = any(answer == self._plain(reference) for reference in references)
        if equal or _same_number(item.answer, item.case.reference):
            return one_axis(self.spec, pass_or_fail(passed=True))
        wanted = " or ".join(f"“{excerpt(reference, 80)}”" for reference in references[:5])
        return one_axis(self.spec, pass_or_fail(passed=False), f"expected {wanted}")

    def _plain(self, text: str) -> str:
        return comparable(text, ignore_case=self.spec.ignore_case, ignore_punctuation=self.spec.ignore_punctuation)


def _same_number(answer: str, reference: Json) -> bool:
    options = reference if isinstance(reference, Sequence) and not isinstance(reference, str) else [reference]
    try:
        said = float(answer)
    except ValueError:
        return False
    return math.isfinite(said) and any(
        said == option for option in options if isinstance(option, int | float) and not isinstance(option, bool)
    )
