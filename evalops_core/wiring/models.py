"""Which model, judge and embeddings a plan talks to, where they are, and what they cost.

What belongs here: choosing. What does not: connecting (connections), calling (providers), scoring (scorers).
"""

import os
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from evalops_core.domain.budget import Price
from evalops_core.domain.chat import Embedded, ModelRef, Usage
from evalops_core.domain.scorer import ScorerSpec, SimilaritySpec, in_force
from evalops_core.domain.suite import ModelSpec, Suite
from evalops_core.errors import ConfigError
from evalops_core.providers.local_model.catalogue import CHAT_MODEL_ID, EMBEDDING_MODEL_ID
from evalops_core.providers.pricing import PriceOverride, price
from evalops_core.providers.scripted import ScriptedChat
from evalops_core.scorers.registry import build_scorers, scorers_fingerprint
from evalops_core.setting_types import EMBEDDED
from evalops_core.settings import Settings
from evalops_core.wiring.suites import refuse_code

if TYPE_CHECKING:
    from evalops_core.providers.local_model.process import ModelServer

OPENAI = "https://api.openai.com/v1"


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
        or embeds_here(in_force(suite.scorers, judge_configured=judged), settings)
        for suite in suites.values()
    )


def scorers_version(specs: Sequence[ScorerSpec], folder: Path, settings: Settings) -> str:
    """The fingerprint of the scorers as they will run, without connecting to anything.

    ConfigError where one of them cannot be built, or is code that the settings refuse.
    """
    refuse_code(specs, folder, settings)
    judge = judge_ref(settings)
    scorers = build_scorers(
        specs,
        judge=ScriptedChat([], judge) if judge else None,
        embeddings=_NamedOnly(settings.embedding_model or EMBEDDING_MODEL_ID),
        folder=folder,
    )
    return scorers_fingerprint(scorers)


def _embeds(spec: ScorerSpec) -> bool:
    return isinstance(spec, SimilaritySpec) and spec.metric == "embedding"


def embeds_here(specs: Sequence[ScorerSpec], settings: Settings) -> bool:
    """Whether the embedded embedding model is needed."""
    return settings.embedding_model is None and any(map(_embeds, specs))


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
