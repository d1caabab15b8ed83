"""Results on disk: how many a second, and how long after the reply each is there.

What belongs here: the store alone, and the way from a reply to its commit inside a whole run. What does not: whole
processes (compare).
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from decimal import Decimal

from sqlalchemy import Engine

from benchmarks.bench_site import Site
from benchmarks.ledger import Ledger
from benchmarks.work import FEATURE, Work
from evalops_core.domain.chat import ChatModel, ChatReply, ChatRequest, ModelRef
from evalops_core.domain.comparability import ComparabilityKey
from evalops_core.domain.eval_run import Response, ScoreRow
from evalops_core.domain.scorer import Scored, ScorerSpec
from evalops_core.domain.window import window_of
from evalops_core.run.budget import Spending
from evalops_core.run.evaluate import Models, evaluate
from evalops_core.run.plan import Plan
from evalops_core.run.progress import silent
from evalops_core.scorers.protocol import Item, Scorer
from evalops_core.store.engine import make_engine
from evalops_core.store.results import Also, CaseResults
from evalops_core.store.runs import EvalRuns, NewRun
from evalops_core.suites.loader import load_suite
from evalops_core.wiring import workshop_over


def rows_a_second(site: Site, ledger: Ledger, groups: Sequence[int] = (50, 100, 500), rows: int = 20_000) -> None:
    """One writer, as a run has, with so many case rows in each commit."""
    engine = make_engine(site.url)
    results = CaseResults(engine)
    for group in groups:
        run = _new_run(engine)
        began, cpu = time.perf_counter(), time.process_time()
        for start in range(0, rows, group):
            results.save_responses(run, [_response(number) for number in range(start, start + group)])
        wall, used = time.perf_counter() - began, time.process_time() - cpu
        ledger.goal(f"case rows a second, {group} a commit", rows / wall, floor=8000 if group >= 100 else None)
        ledger.goal("  CPU of this process, µs a row", 1e6 * used / rows)
    engine.dispose()


def reply_to_disk(site: Site, ledger: Ledger, work: Work) -> None:
    """Inside a run: from the moment the client hands a reply over until its row is committed."""
    cases = site.prepare(work)
    engine = make_engine(site.url)
    workshop = workshop_over(engine, site.settings(work))
    times = _Times({}, [])

    @asynccontextmanager
    async def connect(plan: Plan, spending: Spending) -> AsyncGenerator[Models, None]:
        async with workshop.tools.connect(plan, spending) as models:
            scorers = tuple(_TimedScorer(scorer, times) for scorer in models.scorers)
            yield replace(models, model=_TimedModel(models.model, times), scorers=scorers)

    tools = replace(workshop.tools, connect=connect, results=_TimedResults(engine, times))
    asyncio.run(evaluate(workshop.plan(load_suite(cases.parent), run_type="manual"), tools, silent))
    engine.dispose()
    waited = sorted(times.waited)
    ledger.goal(f"reply to disk, ms, 99 % of {len(waited):,} calls ({work})", 1000 * waited[len(waited) * 99 // 100])
    ledger.goal("  the slowest", 1000 * waited[-1], limit=100)


@dataclass
class _Times:
    """When each (kind, case) was replied to, and how long each then took to be on disk, in seconds."""

    replied: dict[tuple[str, str], float]
    waited: list[float]

    def saved(self, kind: str, cases: set[str]) -> None:
        now = time.perf_counter()
        self.waited.extend(now - self.replied[kind, case] for case in cases)


@dataclass
class _TimedModel:
    inner: ChatModel
    times: _Times

    @property
    def ref(self) -> ModelRef:
        return self.inner.ref

    async def complete(self, request: ChatRequest) -> ChatReply:
        reply = await self.inner.complete(request)
        asked = request.messages[-1].content
        self.times.replied["generate", asked[1 : asked.index("]")]] = time.perf_counter()
        return reply


@dataclass
class _TimedScorer:
    inner: Scorer
    times: _Times

    @property
    def spec(self) -> ScorerSpec:
        return self.inner.spec

    @property
    def version(self) -> str:
        return self.inner.version

    async def score(self, item: Item) -> Sequence[Scored]:
        scored = await self.inner.score(item)
        self.times.replied["judge", item.case.id] = time.perf_counter()
        return scored


class _TimedResults(CaseResults):
    def __init__(self, engine: Engine, times: _Times) -> None:
        super().__init__(engine)
        self._times = times

    def save_responses(self, run_id: int, responses: Sequence[Response], also: Also | None = None) -> None:
        super().save_responses(run_id, responses, also)
        self._times.saved("generate", {row.case_id for row in responses})

    def save_scores(self, run_id: int, scores: Sequence[ScoreRow], also: Also | None = None) -> None:
        super().save_scores(run_id, scores, also)
        self._times.saved("judge", {row.case_id for row in scores})


def _new_run(engine: Engine) -> int:
    tools = EvalRuns(engine)
    window = window_of(datetime.now(timezone.utc), 24)
    run = tools.insert(
        NewRun(
            feature=f"{FEATURE}-rows", window=window, run_type="manual", plan_key="rows", weights={},
            comparability=ComparabilityKey("d", "p", "s", "m"), git_sha=None, dagster_run_id=None,
        )
    )  # fmt: skip
    assert run is not None
    return run.id


def _response(number: int) -> Response:
    return Response(
        case_id=f"case-{number:06d}", repeat=0, text="an answer of some four hundred characters " * 10, model="m",
        finish_reason="stop", prompt_tokens=180, completion_tokens=100, cost_usd=Decimal("0.000087"), latency_s=0.021,
    )  # fmt: skip
