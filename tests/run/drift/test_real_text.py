"""Drift on real text by the real embedding model: quiet days stay quiet, and what users ask does not move unseen.

Three kinds of prompts of our own writing (tests/data): what people ask of an app that explains words, customers of a
shop, and programmers. What is told apart with other kinds and samples, `python -m benchmarks.drift` measures.
"""

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine

from evalops_core.domain.scorer import ExactSpec
from evalops_core.domain.suite import DriftSpec, Suite
from evalops_core.providers.embeddings import EmbeddingClient, InBatches
from evalops_core.providers.http import open_session
from evalops_core.providers.local_model.catalogue import EMBEDDING_MODEL_ID
from evalops_core.providers.local_model.process import ModelServer
from evalops_core.providers.retry import CallPolicy
from evalops_core.run.alert_rules import AlertRules, FeatureAlerts
from evalops_core.run.drift.detect import detect_drift
from evalops_core.run.drift.sample import sample_day
from evalops_core.settings import load_settings
from evalops_core.store.alerting import reading
from tests.run.drift.days import FIRST, MODEL, KnownEmbeddings, at, traffic

pytestmark = [pytest.mark.model, pytest.mark.process, pytest.mark.timeout(300)]

DATA = Path(__file__).parents[2] / "data"
A_DAY = 60  # traces; the newest 50 are the sample
SUITE = Suite(
    feature="orders", cases=(), scorers=(ExactSpec(name="exact"),), folder=Path(), drift=DriftSpec(threshold=None)
)
Prompts = Mapping[str, Sequence[str]]


@pytest.fixture(scope="module")
def prompts() -> Prompts:
    kinds = {kind: (DATA / f"prompts_{kind}.txt").read_text().splitlines() for kind in ("explain", "support", "code")}
    assert all(len(set(lines)) >= 300 for lines in kinds.values())
    return kinds


@pytest.fixture(scope="module")
def model(prompts: Prompts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnownEmbeddings]:
    """Every prompt embedded once by the embedded model; what a text's vector is does not depend on its neighbours."""
    files = load_settings().home / "models"
    if not files.is_dir():
        pytest.skip("the embedded model's files are not here; `evalops model fetch` gets them")
    home = tmp_path_factory.mktemp("models")
    (home / "models").symlink_to(files)
    server = ModelServer(home)
    texts = [text for lines in prompts.values() for text in lines]

    async def embedded() -> NDArray[np.float32]:
        async with open_session(1) as session:
            client = EmbeddingClient(session, EMBEDDING_MODEL_ID, server.start().url, None, CallPolicy())
            return (await InBatches(client).embed(texts)).vectors

    try:
        yield KnownEmbeddings(dict(zip(texts, asyncio.run(embedded()), strict=True)))
    finally:
        server.stop()


class Feature:
    """`orders`, one day after another."""

    def __init__(self, engine: Engine, model: KnownEmbeddings, prompts: Prompts, suite: Suite = SUITE) -> None:
        self._engine, self._model, self._prompts, self._suite = engine, model, prompts, suite
        self._random = random.Random(11)  # nothing is kept secret
        self._days = 0

    def day(self, **shares: float) -> str:
        """The state of a day whose traffic has these shares of each kind, in a random order."""
        asked = [
            text
            for kind, share in shares.items()
            for text in self._random.sample(self._prompts[kind], round(share * A_DAY))
        ]
        self._random.shuffle(asked)
        day = FIRST + timedelta(days=self._days)
        self._days += 1
        traffic(self._engine, day, asked)
        asyncio.run(sample_day(self._engine, "orders", day, self._suite.drift, self._model.embedder()))
        rules = AlertRules(features={"orders": FeatureAlerts(suite=self._suite)})
        found = detect_drift(self._engine, "orders", day, MODEL, rules, at(day + timedelta(days=1), 60))
        return found.day.state or ""

    def incidents(self) -> int:
        with reading(self._engine) as tables:
            return len(tables.incidents.listed(only_open=False))


@pytest.mark.parametrize("kind", ["explain", "support"])
def test_thirty_quiet_days_raise_no_alert(kind: str, engine: Engine, model: KnownEmbeddings, prompts: Prompts) -> None:
    feature = Feature(engine, model, prompts)
    states = [feature.day(**{kind: 1.0}) for _ in range(33)]
    assert states[:3] == ["baseline"] * 3
    assert "alerting" not in states
    assert states.count("ok") >= 29
    assert feature.incidents() == 0


@pytest.mark.parametrize(("before", "new"), [("explain", "support"), ("support", "explain")])
def test_a_shift_of_30_percent_of_the_traffic_alerts_within_3_days(
    before: str, new: str, engine: Engine, model: KnownEmbeddings, prompts: Prompts
) -> None:
    feature = Feature(engine, model, prompts)
    assert [feature.day(**{before: 1.0}) for _ in range(8)][3:] == ["ok"] * 5
    assert "alerting" in [feature.day(**{before: 0.7, new: 0.3}) for _ in range(3)]
    assert feature.incidents() == 1


@pytest.mark.parametrize(("before", "new"), [("explain", "support"), ("support", "code"), ("code", "support")])
def test_a_full_shift_alerts_within_2_days_and_once(
    before: str, new: str, engine: Engine, model: KnownEmbeddings, prompts: Prompts
) -> None:
    feature = Feature(engine, model, prompts)
    assert [feature.day(**{before: 1.0}) for _ in range(5)][3:] == ["ok"] * 2
    assert [feature.day(**{new: 1.0}) for _ in range(4)] == ["warning", "alerting", "alerting", "alerting"]
    assert feature.incidents() == 1


def test_weekends_on_which_others_ask_never_alert_where_three_days_in_a_row_are_asked_for(
    engine: Engine, model: KnownEmbeddings, prompts: Prompts
) -> None:
    patient = replace(SUITE, drift=replace(SUITE.drift, consecutive_days=3))
    feature = Feature(engine, model, prompts, patient)
    week: list[dict[str, float]] = [{"support": 1.0}] * 5 + [{"explain": 0.4, "support": 0.6}] * 2
    states = [feature.day(**shares) for shares in week * 3]
    assert "warning" in states
    assert "alerting" not in states
    assert "alerting" in [feature.day(explain=0.4, support=0.6) for _ in range(3)]
