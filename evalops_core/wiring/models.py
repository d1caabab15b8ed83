"""Which model, judge and embeddings a plan talks to, where they are, and with whose key.

What belongs here: choosing and connecting. What does not: calling (providers), scoring (scorers).
"""

import asyncio
import logging
import math
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import aiohttp
from pydantic import SecretStr

from evalops_core.domain.budget import Price
from evalops_core.domain.chat import Embedded, EmbeddingModel, ModelRef, Usage
from evalops_core.domain.pace import START, Controller
from evalops_core.domain.scorer import ScorerSpec, SimilaritySpec, in_force
from evalops_core.domain.suite import ModelSpec, Suite
from evalops_core.errors import ConfigError
from evalops_core.providers.chat import ChatClient
from evalops_core.providers.http import open_session
from evalops_core.providers.local_model.catalogue import CHAT_MODEL_ID, EMBEDDING_MODEL_ID
from evalops_core.providers.pace import CEILING, Pace, Paces, PerMinute
from evalops_core.providers.pricing import PriceOverride, price
from evalops_core.providers.retry import CallPolicy
from evalops_core.providers.scripted import ScriptedChat
from evalops_core.run.budget import Spending
from evalops_core.run.evaluate import Models
from evalops_core.run.judge_cache import with_cache
from evalops_core.run.metered import FreeEmbeddings, MeteredChat, MeteredEmbeddings
from evalops_core.run.plan import Plan
from evalops_core.scorers.registry import build_scorers, scorers_fingerprint
from evalops_core.settings import EMBEDDED, Settings
from evalops_core.store.judge_cache import JudgeCache

if TYPE_CHECKING:
    from evalops_core.providers.embeddings import EmbeddingClient
    from evalops_core.providers.local_model.process import ModelServer

OPENAI = "https://api.openai.com/v1"
_LOG = logging.getLogger(__name__)


def model_server(settings: Settings, *, stays: bool = False) -> "ModelServer":
    """The embedded models' server; one that this process starts ends some time after it, at the latest, or `stays`."""
    from evalops_core.providers.local_model.process import ModelServer  # not needed beside models of one's own

    return ModelServer(settings.home, owner_pid=None if stays else os.getpid())


def model_ref(spec: ModelSpec, settings: Settings) -> ModelRef:
    """What a suite is evaluated with: its own words first, then the settings', then the embedded model."""
    base_url = spec.base_url or (settings.model_base_url if spec.name is None else None)
    name = spec.name or settings.model
    if base_url is None:
        base_url = EMBEDDED if name is None else OPENAI
    if base_url == EMBEDDED:
        return ModelRef(CHAT_MODEL_ID, EMBEDDED, spec.parameters)
    if name is None:
        raise ConfigError(
            f"names no model for {base_url}; set it, or `model: {{name: …}}` in the suite", key="EVALOPS_MODEL"
        )
    return ModelRef(name, base_url.rstrip("/"), spec.parameters, spec.api_key_env)


def judge_ref(settings: Settings) -> ModelRef | None:
    """The judge of the settings, None where none is configured."""
    if settings.judge_model is None:
        return None
    return ModelRef(settings.judge_model, settings.judge_base_url.rstrip("/"), settings.judge_parameters)


def embedding_ref(specs: Sequence[ScorerSpec], settings: Settings) -> ModelRef | None:
    """The paid embedding model, None where no scorer embeds, or the embedded model does it."""
    if settings.embedding_model is None or not any(map(_embeds, specs)):
        return None
    return ModelRef(settings.embedding_model, settings.embedding_base_url.rstrip("/"))


def needs_embedded_model(suites: Mapping[str, Suite], settings: Settings) -> bool:
    """Whether any of the suites is evaluated or scored with the embedded models."""
    judged = settings.judge_model is not None
    return any(
        model_ref(suite.model, settings).base_url == EMBEDDED
        or _embeds_here(in_force(suite.scorers, judge_configured=judged), settings)
        for suite in suites.values()
    )


def scorers_version(specs: Sequence[ScorerSpec], folder: Path, settings: Settings) -> str:
    """The fingerprint of the scorers as they will run, without connecting to anything.

    ConfigError where one of them cannot be built.
    """
    judge = judge_ref(settings)
    scorers = build_scorers(
        specs,
        judge=ScriptedChat([], judge) if judge else None,
        embeddings=_NamedOnly(settings.embedding_model or EMBEDDING_MODEL_ID),
        folder=folder,
    )
    return scorers_fingerprint(scorers)


@asynccontextmanager
async def connect(
    settings: Settings, plan: Plan, spending: Spending, *, cache: JudgeCache | None = None
) -> AsyncGenerator[Models, None]:
    """The models of a plan over one HTTP session, every call of theirs metered by `spending`.

    `cache` is where judgments are kept and taken from, as far as the plan allows. Calls to the same endpoint share its
    pace, also with earlier stages in this event loop. The embedded models' server is started if it is not running; what
    it takes at once is known.
    """
    paces = _paces(settings)
    most = settings.max_concurrency or CEILING
    policy = CallPolicy(
        timeout_s=settings.call_timeout_s,
        deadline_s=settings.call_deadline_s,
        max_attempts=settings.call_max_attempts,
        case_deadline_s=settings.case_deadline_s or math.inf,
        ends_at=_ends_at(settings, plan),
    )
    embedded = plan.model.base_url == EMBEDDED
    local, engines = None, 1
    if embedded or _embeds_here(plan.specs, settings):
        local, engines = await asyncio.to_thread(_start_embedded, settings)
    key = None if embedded else _model_key(plan, settings)
    async with open_session(most) as session:
        ceiling = settings.completion_ceiling
        judge, judge_price = None, price_of(settings, plan.judge or plan.model)
        if plan.judge is not None:
            secret = _key(settings, settings.judge_api_key, plan.judge.base_url, "EVALOPS_JUDGE_API_KEY")
            client = _chat(session, plan.judge, secret, policy, paces)
            judge = MeteredChat(client, "eval.judge", judge_price, spending, ceiling)
        if embedded:
            client = ChatClient(session, plan.model, key, policy, base_url=local)
        else:
            client = _chat(session, plan.model, key, policy, paces)
        model_price = price_of(settings, plan.model)
        embedding_price = price_of(settings, plan.embedding or plan.model)
        embeddings: EmbeddingModel | None = None
        if plan.embedding is not None:
            from evalops_core.providers.embeddings import InBatches  # with numpy; few suites embed

            paid = _paid_embeddings(session, plan.embedding, settings, policy, paces)
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
    if paces.refusals:
        _LOG.info("%s", paces)


_PACES: WeakKeyDictionary[asyncio.AbstractEventLoop, Paces] = WeakKeyDictionary()


def _paces(settings: Settings) -> Paces:
    """Those of the running event loop: what a stage has learned of an endpoint holds for the next one."""
    loop = asyncio.get_running_loop()
    limits = {
        model: PerMinute(given.requests_per_minute, given.tokens_per_minute)
        for model, given in settings.rate_limits.items()
    }
    found = _PACES.get(loop)
    if found is None or (found.ceiling, found.per_minute) != (settings.max_concurrency, limits):
        found = _PACES[loop] = Paces(settings.max_concurrency, limits)
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


def _start_embedded(settings: Settings) -> tuple[str, int]:
    """The embedded server's address, and how many answers it works on at once."""
    server = model_server(settings)
    url = server.start().url
    return url, server.status().engines or 1


def _paid_embeddings(
    session: aiohttp.ClientSession, ref: ModelRef, settings: Settings, policy: CallPolicy, paces: Paces
) -> "EmbeddingClient":
    from evalops_core.providers.embeddings import EmbeddingClient

    secret = _key(settings, settings.embedding_api_key, ref.base_url, "EVALOPS_EMBEDDING_API_KEY")
    pace, allowance = paces.of(ref.base_url, secret, ref.name)
    return EmbeddingClient(session, ref.name, ref.base_url, secret, policy, pace=pace, allowance=allowance)


def _embeds(spec: ScorerSpec) -> bool:
    return isinstance(spec, SimilaritySpec) and spec.metric == "embedding"


def _embeds_here(specs: Sequence[ScorerSpec], settings: Settings) -> bool:
    """Whether the embedded embedding model is needed."""
    return settings.embedding_model is None and any(map(_embeds, specs))


def _model_key(plan: Plan, settings: Settings) -> SecretStr | None:
    ref = plan.model
    if ref.api_key_env is not None:
        secret = settings.api_key(ref.api_key_env)
        if secret is None:
            raise ConfigError(
                f"is not set, and the suite {plan.suite.feature} takes its key for {ref.base_url} from it",
                key=ref.api_key_env,
            )
        return secret
    of_suite = plan.suite.model.base_url is not None or plan.suite.model.name is not None
    return _key(settings, None if of_suite else settings.model_api_key, ref.base_url, "EVALOPS_MODEL_API_KEY")


def _key(settings: Settings, configured: SecretStr | None, base_url: str, variable: str) -> SecretStr | None:
    """A key for an endpoint. OpenAI's goes to OpenAI alone: another host's owner must never get to see it."""
    if configured is not None:
        return configured
    if urlsplit(base_url).hostname != urlsplit(OPENAI).hostname:
        return None
    secret = settings.api_key("OPENAI_API_KEY")
    if secret is None:
        raise ConfigError(f"there is no key for {base_url}; set OPENAI_API_KEY or this variable", key=variable)
    return secret


def price_of(settings: Settings, ref: ModelRef) -> Price:
    """What calls of `ref` cost. A price of the settings holds for the id that the endpoint resolves the name to, and,
    given for the name asked for, for whatever that resolves to."""
    overrides = {
        name: PriceOverride(given.input_per_mtok, given.output_per_mtok) for name, given in settings.prices.items()
    }

    @lru_cache(maxsize=1024)  # each call's price is asked for twice: for its row and for the ledger
    def of(model_id: str, usage: Usage) -> Decimal | None:
        known = ref.name if ref.name in overrides and model_id not in overrides else model_id
        return price(known, ref.base_url, usage, overrides)

    return of


class _NamedOnly:
    """An embedding model that is asked for nothing but its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def embed(self, texts: Sequence[str]) -> Embedded:
        raise NotImplementedError(f"{self.name} is not connected; {len(texts)} texts were to be embedded")
