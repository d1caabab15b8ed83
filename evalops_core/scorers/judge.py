"""An LLM as the scorer.

What belongs here: the calls of one judgment and what becomes of them. What does not: its words (judge_prompt), what
its reply must be (judge_reply), retries and prices (providers). A judge that fails, or cannot be understood, gives no
score; it never gives a low one.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from evalops_core.domain.chat import ChatModel, ChatReply, ChatRequest, Usage
from evalops_core.domain.json import Json, canonical, content_hash
from evalops_core.domain.score import Outcome, Score, Unscored
from evalops_core.domain.scorer import JudgeSpec, Scored
from evalops_core.errors import CallError
from evalops_core.scorers.call_problem import call_problem
from evalops_core.scorers.judge_prompt import judge_request, repair_request
from evalops_core.scorers.judge_reply import Misread, Rating, read_reply
from evalops_core.scorers.protocol import Item

PROMPT_VERSION = "1"


@dataclass(frozen=True)
class JudgeScorer:
    """One call, and one more if its reply cannot be read. The first axis carries the tokens of both."""

    spec: JudgeSpec
    model: ChatModel
    version: str = field(default=PROMPT_VERSION, init=False)

    @property
    def asked(self) -> str:
        """Content hash of which judge is asked: model and endpoint as configured, and the parameters."""
        return content_hash(self._whom())

    def request(self, item: Item) -> ChatRequest:
        """What the judge is asked about `item`."""
        return judge_request(self.spec.rubric, item, self.model.ref)

    def question(self, item: Item, request: ChatRequest) -> str:
        """Digest of everything that the judgment of `item` by its `request` depends on: who is asked, how and what.

        Names of the case and the scorer are in it, so that no two judgments of one run have the same: who asks twice
        in a run wants two answers. Of the whole SHA-256, for one answer must never get another's judgment.
        """
        messages = [[message.role, message.content] for message in request.messages]
        how = [self._whom(), request.parameters, request.json_schema]
        whole: list[Json] = [item.case.id, self.spec.name, self.version, messages, how]
        return hashlib.sha256(canonical(whole).encode()).hexdigest()

    async def score(self, item: Item) -> Sequence[Scored]:
        return await self.judge(self.request(item))

    async def judge(self, request: ChatRequest) -> Sequence[Scored]:
        """The same for an item whose request is there already."""
        try:
            reply = await self.model.complete(request)
        except CallError as error:
            return self._result(Unscored(call_problem("the judge", error)), ())
        ratings = read_reply(reply.text, self.spec.rubric.axes)
        if not isinstance(ratings, Misread):
            return self._result(ratings, [reply])
        problem = _with_cut_off(ratings.problem, reply)
        try:
            second = await self.model.complete(repair_request(request, reply.text, problem))
        except CallError as error:
            reason = f"the judge's reply could not be used ({problem}), and asked again {call_problem('it', error)}"
            return self._result(Unscored(reason), [reply])
        ratings = read_reply(second.text, self.spec.rubric.axes)
        if isinstance(ratings, Misread):
            reason = f"the judge's reply could not be used, twice: {_with_cut_off(ratings.problem, second)}"
            return self._result(Unscored(reason), [reply, second])
        return self._result(ratings, [reply, second])

    def _whom(self) -> list[Json]:
        ref = self.model.ref
        return [ref.base_url, ref.name, ref.parameters]

    def _result(self, found: Sequence[Rating] | Unscored, replies: Sequence[ChatReply]) -> Sequence[Scored]:
        outcomes: list[tuple[str, Outcome, str | None]]
        if isinstance(found, Unscored):
            outcomes = [(axis.name, found, None) for axis in self.spec.rubric.axes]
        else:
            outcomes = [(rating.axis, Score(float(rating.score)), rating.reason) for rating in found]
        axes = [Scored(axis, outcome, rationale) for axis, outcome, rationale in outcomes]
        if replies:
            usage = sum((reply.usage for reply in replies), Usage())
            axes[:1] = [replace(first, usage=usage, model=replies[-1].model) for first in axes[:1]]
        return axes


def _with_cut_off(problem: str, reply: ChatReply) -> str:
    return f"{problem}; it was cut off by the token limit" if reply.finish_reason == "length" else problem
