"""Which judgments of an eval run are taken from earlier runs, so that the judge is not asked the same question twice.

What belongs here: when an entry of the cache may be taken, and when it has to be given back. What does not: what makes
two questions the same (scorers.judge), rows (store.judge_cache).

Judgments are kept by every run, and taken by manual runs. They are not taken
- where a case is asked several times (`repeats`): each judgment is there to show the noise, so nothing is kept either;
- by a run that is to confirm another's fall: a second look that copies the first confirms nothing;
- by scheduled runs, unless EVALOPS_JUDGE_CACHE_SCHEDULED says so. A model at temperature 0 often answers as it did the
  day before. Copied judgments would then hide that the judge has drifted, teach the history a noise without the judge's
  share, and all expire on one day: that day's step would look like a regression. Who spends more on judging than such
  doubts are worth may choose otherwise. Answers are never taken from anywhere.

A judge's name may come to stand for another model, and a cache cannot know before it asks. So an entry carries the id
that the endpoint resolved the name to, and only entries of the id that was seen last are taken. Should the judge
resolve to another id in a run that has taken some, all of them are given back and asked for anew: no run mixes two
judges because of the cache. A run that asks for nothing at all was judged by the id that its entries carry, as its
comparability key says; that this is still so today is assumed for as long as entries hold (EVALOPS_JUDGE_CACHE_DAYS).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from evalops_core.domain.chat import ChatRequest
from evalops_core.domain.eval_run import EvalRun
from evalops_core.domain.score import Score
from evalops_core.domain.scorer import JudgeSpec, Scored
from evalops_core.run.budget import Settle
from evalops_core.run.plan import Plan
from evalops_core.scorers.judge import JudgeScorer
from evalops_core.scorers.protocol import Item, Scorer
from evalops_core.store.judge_cache import Entry, JudgeCache, Judgment

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class CachedJudge:
    """A judge whose judgments are kept in `cache`, and taken from it where `takes`. It is asked as any other scorer."""

    judge: JudgeScorer
    cache: JudgeCache
    takes: bool

    @property
    def spec(self) -> JudgeSpec:
        return self.judge.spec

    @property
    def version(self) -> str:
        return self.judge.version

    async def score(self, item: Item) -> Sequence[Scored]:
        """See `Scorer`; always a call."""
        return await self.judge.score(item)


def with_cache(
    scorers: Sequence[Scorer], plan: Plan, run: EvalRun, cache: JudgeCache | None, *, scheduled: bool
) -> tuple[Scorer, ...]:
    """The scorers, every judge of them with the cache, as far as plan and run allow. `scheduled`: such runs take, too.

    What counts is the eval run's own type: a person's re-execution may go on with a scheduled one.
    """
    if cache is None or plan.suite.repeats > 1:
        return tuple(scorers)
    takes = plan.use_cache and plan.confirms_run_id is None and (scheduled or run.run_type == "manual")
    return tuple(CachedJudge(one, cache, takes) if isinstance(one, JudgeScorer) else one for one in scorers)


@dataclass(frozen=True, slots=True)
class Question:
    """What one scorer is asked of one answer, and what the cache knows of it; `key` and `request` are None for a scorer
    that has no cache."""

    item: Item
    scorer: Scorer
    key: str | None = None
    request: ChatRequest | None = None
    known: Judgment | None = None


class Recall:
    """One stage's dealings with the cache; without a `CachedJudge` among the scorers it does nothing.

    To be made before the run's scores are read: rows of an interrupted run that may not stay taken are removed.
    """

    def __init__(self, run_id: int, scorers: Sequence[Scorer]) -> None:
        judges = [scorer for scorer in scorers if isinstance(scorer, CachedJudge)]
        self._run_id = run_id
        self._cache = judges[0].cache if judges else None
        self._model: str | None = None  # whose entries may be taken; all judges of a run are the same model
        self._changed = False
        if self._cache is not None:
            if judges[0].takes:
                self._model = self._cache.resolved(judges[0].judge.asked)
            if self._cache.asked(run_id, [judge.spec.name for judge in judges]) - {self._model}:
                self._model = None
            self._cache.give_back(run_id, except_of=self._model)

    def look_up(self, asked: Sequence[tuple[Item, Scorer]]) -> list[Question]:
        """The place of each in the cache, by one statement."""
        questions = [_question(item, scorer) for item, scorer in asked]
        if self._cache is None or self._model is None:
            return questions
        found = self._cache.find([one.key for one in questions if one.key is not None], self._model)
        return [replace(one, known=found.get(one.key)) if one.key in found else one for one in questions]

    def taken(self, question: Question) -> Judgment | None:
        """What may be taken now, be it that the judge has changed since it was looked up."""
        known = question.known
        return known if known is not None and known.model == self._model else None

    async def ask(self, question: Question) -> tuple[Sequence[Scored], Entry | None]:
        """What the scorer says, and what is to be kept of it: nothing of an incomplete judgment."""
        if question.request is None or not isinstance(question.scorer, CachedJudge):
            return await question.scorer.score(question.item), None
        said = await question.scorer.judge.judge(question.request)
        return said, self._learned(question, question.scorer, said)

    def also(self, settle: Settle, entries: Sequence[Entry]) -> Settle:
        """`settle`, and the entries kept in the same transaction."""

        def both(connection: Connection) -> None:
            settle(connection)
            if self._cache is not None:
                self._cache.keep(entries, connection)

        return both

    def give_back(self) -> bool:
        """Whether rows had to be removed, for the judge has proved to be another than theirs: they are missing now."""
        if self._cache is None or not self._changed:
            return False
        self._changed = False
        return self._cache.give_back(self._run_id) > 0

    def forget(self) -> None:
        """Remove entries that hold no more."""
        if self._cache is not None:
            self._cache.forget()

    def _learned(self, question: Question, scorer: CachedJudge, said: Sequence[Scored]) -> Entry | None:
        model = next((axis.model for axis in said if axis.model), None)
        if question.key is None or model is None:
            return None
        if self._model is not None and model != self._model:
            _LOG.info("the judge resolves to %s, no more to %s: judgments are not taken any more", model, self._model)
            self._model, self._changed = None, True
        values = {axis.axis: (axis.outcome.value, axis.rationale) for axis in said if isinstance(axis.outcome, Score)}
        if len(values) != len(said):
            return None
        return Entry(question.key, scorer.judge.asked, Judgment(model, values))


def _question(item: Item, scorer: Scorer) -> Question:
    if not isinstance(scorer, CachedJudge):
        return Question(item, scorer)
    request = scorer.judge.request(item)
    return Question(item, scorer, scorer.judge.question(item, request), request)
