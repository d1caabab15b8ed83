"""Found or not, by a pattern.

What belongs here: the `regex` scorer. What does not: how a search is kept from running for ever (patterns).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from evalops_core.domain.score import Unscored
from evalops_core.domain.scorer import RegexSpec, Scored
from evalops_core.errors import ConfigError
from evalops_core.scorers.patterns import LIMIT_S, Pattern, compile_pattern
from evalops_core.scorers.protocol import Item, one_axis, pass_or_fail


@dataclass(frozen=True)
class RegexScorer:
    """Looks at the answer as written (`full`: without surrounding white space).

    A blank answer meets a pattern only if the pattern accepts it, and never a negated one: having said nothing is not
    having avoided something.
    """

    spec: RegexSpec
    pattern: Pattern
    version: str = field(default="1", init=False)

    async def score(self, item: Item) -> Sequence[Scored]:
        looks = self.pattern.matches if self.spec.full else self.pattern.found
        answer = item.answer.strip() if self.spec.full else item.answer
        try:
            # In a thread: a bad pattern may use up its whole second, and other calls are in flight meanwhile.
            found = await asyncio.to_thread(looks, answer)
        except TimeoutError:
            reason = f"the pattern took longer than {LIMIT_S:g} s on this answer; simplify its nested repetitions"
            return one_axis(self.spec, Unscored(reason))
        if self.spec.negate and not item.answer.strip():
            return one_axis(self.spec, pass_or_fail(passed=False), "the answer is empty")
        return one_axis(self.spec, pass_or_fail(passed=found != self.spec.negate), None if found else "no match")


def regex_scorer(spec: RegexSpec) -> RegexScorer:
    """ConfigError where the pattern is no regular expression."""
    try:
        return RegexScorer(spec, compile_pattern(spec.pattern, ignore_case=spec.ignore_case))
    except ValueError as error:
        raise ConfigError(f"`pattern` is not a regular expression: {error}", key=spec.name) from None
