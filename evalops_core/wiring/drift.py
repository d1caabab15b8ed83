"""The embedding model that drift is measured with.

What belongs here: choosing and connecting it. What does not: what is embedded (run.drift.sample).
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial

from evalops_core.domain.budget import tightest
from evalops_core.domain.chat import EmbeddingModel, ModelRef, Usage
from evalops_core.providers.local_model.catalogue import EMBEDDING_MODEL_ID
from evalops_core.run.drift.sample import Embedder
from evalops_core.settings import Settings
from evalops_core.store.gate import Gate
from evalops_core.wiring.models import price_of
from evalops_core.wiring.workshop import Workshop

_GATE = "evalops drift"


def drift_gate(workshop: Workshop) -> Gate:
    """The gate in front of days of drift; eval runs have another, so neither waits for the other."""
    return workshop.gate(_GATE)


def embedding_name(settings: Settings) -> str:
    """The model's name, under which centroids are kept; nothing is connected."""
    return settings.embedding_model or EMBEDDING_MODEL_ID


def embedder(workshop: Workshop) -> Embedder:
    """The embedded model, or the endpoint of the settings, whose calls go into the ledger as `drift.embed`."""
    return Embedder(embedding_name(workshop.settings), partial(_connect, workshop))


@asynccontextmanager
async def _connect(workshop: Workshop, feature: str) -> AsyncGenerator[EmbeddingModel, None]:
    from evalops_core.providers.embeddings import EmbeddingClient, InBatches
    from evalops_core.providers.http import open_session
    from evalops_core.providers.pace import Learned
    from evalops_core.run.drift.purse import Purse
    from evalops_core.run.metered import FreeEmbeddings, MeteredEmbeddings, require_price
    from evalops_core.wiring.connections import call_policy, paces_of, paid_embeddings, start_embedded

    settings, policy = workshop.settings, call_policy(workshop.settings)
    async with open_session(1) as session:
        if settings.embedding_model is None:
            url, _ = await asyncio.to_thread(start_embedded, settings)
            yield FreeEmbeddings(InBatches(EmbeddingClient(session, EMBEDDING_MODEL_ID, url, None, policy)))
            return
        ref = ModelRef(settings.embedding_model, settings.embedding_base_url.rstrip("/"))
        price, cap = price_of(settings, ref), tightest(settings.hard_cap_day_usd)
        if cap is not None:
            require_price(ref, price, Usage(1, 0))
        now: Callable[[], datetime] = workshop.tools.now
        async with Purse(feature, workshop.tools.ledger, cap, now) as purse:
            paid = paid_embeddings(session, ref, settings, policy, paces_of(settings, Learned()))
            yield InBatches(MeteredEmbeddings(paid, price, purse, "drift.embed"))
