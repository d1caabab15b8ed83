"""The models of a plan, connected: one HTTP session, each endpoint's pace, whose key goes where.

What belongs here: connecting. What does not: which models a plan has (models), calling (providers). Imported when a
stage begins: most commands, and most of Dagster's processes, call nobody.
"""

import asyncio
import logging
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import aiohttp
from pydantic import SecretStr

from evalops_core.domain.chat import EmbeddingModel, ModelRef, Usage
from evalops_core.domain.pace import START, Controller
from evalops_core.domain.suite import Suite
from evalops_core.errors import ConfigError
from evalops_core.providers.chat import ChatClient
from evalops_core.providers.http import open_session
from evalops_core.providers.local_model.catalogue import EMBEDDING_MODEL_ID
from evalops_core.providers.pace import CEILING, Learned, Pace, Paces, PerMinute
from evalops_core.providers.retry import CallPolicy
from evalops_core.run.budget import Spending
from evalops_core.run.evaluate import Models
from evalops_core.run.judge_cache import with_cache
from evalops_core.run.metered import FreeEmbeddings, MeteredChat, MeteredEmbeddings
from evalops_core.run.plan import Plan
from evalops_core.scorers.registry import build_scorers
from evalops_core.setting_types import EMBEDDED
from evalops_core.settings import Settings
from evalops_core.store.judge_cache import JudgeCache
from evalops_core.wiring.models import OPENAI, embeds_here, model_server, price_of

if TYPE_CHECKING:
    from evalops_core.providers.embeddings import EmbeddingClient

_LOG = logging.getLogger(__name__)


@asynccontextmanager
async def connect(
    settings: Settings,
    plan: Plan,
    spending: Spending,
    *,
    cache: JudgeCache | None = None,
    learned: Learned | None = None,
) -> AsyncGenerator[Models, None]:
    """The models of a plan over one HTTP session, every call of theirs metered by `spending`.

    `cache` is where judgments are kept and taken from, as far as the plan allows. Calls to the same endpoint share its
    pace, also with earlier stages in this event loop, and begin with what other loops have `learned`. The embedded
    models' server is started if it is not running; what it takes at once is known.
    """
    paces = paces_of(settings, learned or Learned())
    most = settings.max_concurrency or CEILING
    policy = call_policy(settings, ends_at=_ends_at(settings, plan))
    embedded = plan.model.base_url == EMBEDDED
    local, engines = None, 1
    if embedded or embeds_here(plan.specs, settings):
        local, engines = await asyncio.to_thread(start_embedded, settings)
    key = None if embedded else model_key(plan.suite, plan.model, settings)
    async with open_session(most) as session:
        ceiling = settings.completion_ceiling
        judge, judge_price = None, price_of(settings, plan.judge or plan.model)
        if plan.judge is not None:
            secret = endpoint_key(settings, settings.judge_api_key, plan.judge.base_url, "EVALOPS_JUDGE_API_KEY")
            client = _chat(session, plan.judge, secret, policy, paces)
            judge = MeteredChat(client, "eval.judge", judge_price, spending, ceiling)
        if embedded:
            client = ChatClient(session, plan.model, key, policy, base_url=local)
        else:
            client = _chat(session, plan.model, key, policy, paces)
        model_price = price_of(settings, plan.model)
        embedding_price = price_of(settings, plan.embedding or plan.model)
        # The list of prices takes some 80 ms to load: while the first answers are on their way, not when they are here.
        asyncio.get_running_loop().run_in_executor(None, model_price, plan.model.name, Usage(0, 0))
        embeddings: EmbeddingModel | None = None
        if plan.embedding is not None:
            from evalops_core.providers.embeddings import InBatches  # with numpy; few suites embed

            paid = paid_embeddings(session, plan.embedding, settings, policy, paces)
            embeddings = InBatches(MeteredEmbeddings(paid, embedding_price, spending))
        elif local:
            from evalops_core.providers.embeddings import EmbeddingClient, InBatches

            pace = Pace(Controller(min(START, most)))
            free = EmbeddingClient(session, EMBEDDING_MODEL_ID, local, None, policy, pace=pace)
            embeddings = FreeEmbeddings(InBatches(free))
        yield Models(
            model=MeteredChat(client, "eval.generate", model_price, spending, ceiling),
            scorers=with_cache(
                build_scorers(plan.specs, judge=judge, embeddings=embeddings, folder=plan.suite.folder),
                plan,
                spending.run,
                cache,
                scheduled=settings.judge_cache_scheduled,
            ),
            model_price=model_price,
            judge_price=judge_price,
            embedding_price=embedding_price,
            # more at a time would only wait in the embedded server's queue, and the wait would count as latency
            model_concurrency=min(engines, most) if embedded else most,
            scorer_concurrency=most,
        )
    paces.keep()
    if paces.refusals:
        _LOG.info("%s", paces)


def call_policy(settings: Settings, *, ends_at: float = math.inf) -> CallPolicy:
    """How long and how often calls are tried; none starts from the loop's instant `ends_at` on."""
    return CallPolicy(
        timeout_s=settings.call_timeout_s,
        deadline_s=settings.call_deadline_s,
        max_attempts=settings.call_max_attempts,
        case_deadline_s=settings.case_deadline_s or math.inf,
        ends_at=ends_at,
    )


_PACES: WeakKeyDictionary[asyncio.AbstractEventLoop, Paces] = WeakKeyDictionary()


def paces_of(settings: Settings, learned: Learned) -> Paces:
    """Those of the running event loop, which all of its stages share."""
    loop = asyncio.get_running_loop()
    limits = {
        model: PerMinute(given.requests_per_minute, given.tokens_per_minute)
        for model, given in settings.rate_limits.items()
    }
    found = _PACES.get(loop)
    if found is None or (found.ceiling, found.per_minute) != (settings.max_concurrency, limits):
        found = _PACES[loop] = Paces(settings.max_concurrency, limits, learned)
    return found


def _ends_at(settings: Settings, plan: Plan) -> float:
    """The instant of the loop's clock from which on no call of the plan may start.

    A run that nobody launched beforehand (`evalops run`) begins with its first stage.
    """
    if settings.run_deadline_s is None:
        return math.inf
    since_launch_s = (datetime.now(timezone.utc) - plan.asked_at).total_seconds() if plan.asked_at else 0.0
    return asyncio.get_running_loop().time() + settings.run_deadline_s - since_launch_s


def _chat(
    session: aiohttp.ClientSession, ref: ModelRef, key: SecretStr | None, policy: CallPolicy, paces: Paces
) -> ChatClient:
    pace, allowance = paces.of(ref.base_url, key, ref.name)
    return ChatClient(session, ref, key, policy, pace=pace, allowance=allowance)


def start_embedded(settings: Settings) -> tuple[str, int]:
    """The embedded server's address, and how many answers it works on at once."""
    server = model_server(settings)
    url = server.start().url
    return url, server.status().engines or 1


def paid_embeddings(
    session: aiohttp.ClientSession, ref: ModelRef, settings: Settings, policy: CallPolicy, paces: Paces
) -> "EmbeddingClient":
    from evalops_core.providers.embeddings import EmbeddingClient

    secret = endpoint_key(settings, settings.embedding_api_key, ref.base_url, "EVALOPS_EMBEDDING_API_KEY")
    pace, allowance = paces.of(ref.base_url, secret, ref.name)
    return EmbeddingClient(session, ref.name, ref.base_url, secret, policy, pace=pace, allowance=allowance)


def model_key(suite: Suite, ref: ModelRef, settings: Settings) -> SecretStr | None:
    """The key that calls of the suite's model go with; None for none. ConfigError where there is to be one."""
    if ref.api_key_env is not None:
        secret = settings.api_key(ref.api_key_env)
        if secret is None:
            raise ConfigError(
                f"is not set, and the suite {suite.feature} takes its key for {ref.base_url} from it",
                key=ref.api_key_env,
            )
        return secret
    of_suite = suite.model.base_url is not None or suite.model.name is not None
    return endpoint_key(settings, None if of_suite else settings.model_api_key, ref.base_url, "EVALOPS_MODEL_API_KEY")


def endpoint_key(settings: Settings, configured: SecretStr | None, base_url: str, variable: str) -> SecretStr | None:
    """A key for an endpoint. OpenAI's goes to OpenAI alone: another host's owner must never get to see it."""
    if configured is not None:
        return configured
    if urlsplit(base_url).hostname != urlsplit(OPENAI).hostname:
        return None
    secret = settings.api_key("OPENAI_API_KEY")
    if secret is None:
        raise ConfigError(f"there is no key for {base_url}; set OPENAI_API_KEY or this variable", key=variable)
    return secret
