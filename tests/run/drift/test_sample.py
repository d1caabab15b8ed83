"""A day's sample: which traces it is, what is made of them, and that it is made once."""

import asyncio
import traceback
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import Engine, delete, func, select, text

from evalops_core.domain.chat import Embedded
from evalops_core.domain.drift.centroid import centroid, cosine_drift
from evalops_core.domain.suite import DriftSpec
from evalops_core.domain.trace import Trace
from evalops_core.errors import PermanentError
from evalops_core.run.alert_rules import AlertRules
from evalops_core.run.drift.detect import detect_drift
from evalops_core.run.drift.sample import Sampled, sample_day
from evalops_core.store.drift import DriftDays
from evalops_core.store.tables import DRIFT_CENTROIDS, DRIFT_SAMPLES, LLM_TRACES
from evalops_core.store.traces import Traces
from tests.run.drift.days import FIRST, KnownEmbeddings, asked, at, traffic

SPEC = DriftSpec(min_sample=3, max_sample=5)
TEXTS = [f"prompt {number}" for number in range(20)]
VECTORS = {text: np.eye(20, dtype=np.float32)[number] + 0.5 for number, text in enumerate(TEXTS)}


@pytest.fixture
def model() -> KnownEmbeddings:
    return KnownEmbeddings(VECTORS)


def sample(engine: Engine, model: KnownEmbeddings, spec: DriftSpec = SPEC) -> Sampled:
    return asyncio.run(sample_day(engine, "orders", FIRST, spec, model.embedder()))


def centroid_of(engine: Engine, found: Sampled) -> np.ndarray:
    with engine.connect() as connection:
        return DriftDays(connection).centroids([found.day.id])[found.day.id]


def test_the_newest_prompts_of_the_day_become_one_direction(engine: Engine, model: KnownEmbeddings) -> None:
    traffic(engine, FIRST - timedelta(days=1), TEXTS[:2])
    traffic(engine, FIRST, TEXTS[2:12])
    traffic(engine, FIRST + timedelta(days=1), TEXTS[12:])
    traffic(engine, FIRST, TEXTS[12:], feature="other")
    found = sample(engine, model)
    assert (found.how, found.day.n, found.day.n_malformed, found.day.state) == ("new", 5, 0, None)
    assert sorted(model.asked) == sorted(TEXTS[7:12])
    expected = centroid(np.array([VECTORS[text] for text in TEXTS[7:12]]))
    assert cosine_drift(centroid_of(engine, found), expected) < 1e-9


def test_failed_calls_are_not_sampled(engine: Engine, model: KnownEmbeddings) -> None:
    traffic(engine, FIRST, TEXTS[:3])
    failed = Trace(
        id="failed", feature="orders", created_at=at(FIRST, 900), messages=asked(TEXTS[9]), error="RateLimitError"
    )
    Traces(engine).insert([failed])
    assert sample(engine, model).day.n == 3
    assert TEXTS[9] not in model.asked


@pytest.mark.parametrize(
    "messages", [[], [{"role": "system", "content": "x"}], [{"role": "user", "content": ""}], [{"role": "user"}]]
)
def test_traces_without_a_user_s_message_are_counted_and_left_out(
    engine: Engine, model: KnownEmbeddings, messages: Sequence[dict[str, str]]
) -> None:
    traffic(engine, FIRST, TEXTS[:4])
    Traces(engine).insert([Trace(id="odd", feature="orders", created_at=at(FIRST, 900), messages=messages)])
    found = sample(engine, model)
    assert (found.day.n, found.day.n_malformed) == (4, 1)


def test_a_day_is_embedded_once_whatever_comes_later(engine: Engine, model: KnownEmbeddings) -> None:
    traffic(engine, FIRST, TEXTS[:4])
    first = sample(engine, model)
    before, embedded = centroid_of(engine, first), len(model.asked)
    Traces(engine).insert([Trace(id="late", feature="orders", created_at=at(FIRST, 900), messages=asked(TEXTS[9]))])
    again = sample(engine, model)
    assert (again.how, again.day) == ("stored", first.day)
    assert np.array_equal(centroid_of(engine, again), before)
    assert len(model.asked) == embedded


def test_another_embedding_model_makes_a_centroid_of_its_own(engine: Engine, model: KnownEmbeddings) -> None:
    traffic(engine, FIRST, TEXTS[:4])
    other = KnownEmbeddings(VECTORS, "another")
    assert [sample(engine, one).how for one in (model, other)] == ["new", "new"]
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(DRIFT_CENTROIDS)) == 2


def test_too_few_traces_leave_no_centroid_and_cost_nothing_until_more_have_come(
    engine: Engine, model: KnownEmbeddings
) -> None:
    traffic(engine, FIRST, TEXTS[:2])
    few = sample(engine, model)
    assert (few.how, few.day.n, few.day.has_centroid) == ("insufficient", 2, False)
    assert model.asked == []
    Traces(engine).insert([Trace(id="late", feature="orders", created_at=at(FIRST, 900), messages=asked(TEXTS[9]))])
    enough = sample(engine, model)
    assert (enough.how, enough.day.id, enough.day.n) == ("new", few.day.id, 3)


def test_the_last_user_message_counts_where_the_suite_says_so(engine: Engine) -> None:
    turns = [[*asked("the example"), {"role": "assistant", "content": "so"}, *asked(text)] for text in TEXTS[:3]]
    Traces(engine).insert(
        [Trace(id=f"t{n}", feature="orders", created_at=at(FIRST, n), messages=turn) for n, turn in enumerate(turns)]
    )
    model = KnownEmbeddings({**VECTORS, "the example": np.ones(20, dtype=np.float32)})
    last = sample(engine, model, replace(SPEC, message="last"))
    assert sorted(model.asked) == TEXTS[:3]
    assert not last.all_alike
    with engine.begin() as connection:
        connection.execute(delete(DRIFT_CENTROIDS))
    first = sample(engine, model)
    assert model.asked[3:] == ["the example"] * 3
    assert first.all_alike


def test_the_sample_s_embeddings_are_kept_by_trace(engine: Engine, model: KnownEmbeddings) -> None:
    traffic(engine, FIRST, TEXTS[:3])
    found = sample(engine, model)
    with engine.connect() as connection:
        kept = DriftDays(connection).samples([found.day.id])[found.day.id]
        assert set(kept) == {row.id for row in connection.execute(select(LLM_TRACES.c.id))}
        assert connection.scalar(select(func.count()).select_from(DRIFT_SAMPLES)) == 3
    assert np.allclose(kept[f"orders-{FIRST}-1"], VECTORS[TEXTS[1]])


def test_an_endpoint_that_fails_leaves_nothing_behind(engine: Engine) -> None:
    traffic(engine, FIRST, TEXTS[:4])
    with pytest.raises(KeyError):
        sample(engine, KnownEmbeddings({}))
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(DRIFT_CENTROIDS)) == 0
    assert sample(engine, KnownEmbeddings(VECTORS)).how == "new"


@pytest.mark.parametrize(
    "odd", ['[{"t": 1e400, "role": "user", "content": "x"}]', "null", "7", '"user"', '["user"]', '{"role": "user"}']
)
def test_whatever_sql_puts_into_a_trace_is_counted_and_left_out(
    engine: Engine, model: KnownEmbeddings, odd: str
) -> None:
    traffic(engine, FIRST, TEXTS[:3])
    with engine.begin() as connection:
        put = "INSERT INTO evalops.llm_traces VALUES ('odd', 'orders', :at, CAST(:odd AS jsonb))"
        connection.execute(text(put), {"at": at(FIRST, 900), "odd": odd})
    found = sample(engine, model)
    assert (found.day.n, found.day.n_malformed) == (3, 1)


class Refusing(KnownEmbeddings):
    """An endpoint that takes short texts only, and quotes what it refuses."""

    def __init__(self, longest: int) -> None:
        super().__init__({})
        self._longest, self.lengths = longest, list[int]()

    async def embed(self, texts: Sequence[str]) -> Embedded:
        self.lengths.append(max(map(len, texts)))
        if self.lengths[-1] > self._longest:
            raise PermanentError(f"127.0.0.1 answered 422: {texts[0]}", status=422)
        return Embedded(np.ones((len(texts), 2), dtype=np.float32))


def test_of_a_long_prompt_its_beginning_and_its_end_are_embedded_and_less_where_that_is_refused(engine: Engine) -> None:
    traffic(engine, FIRST, ["a" * 5_000 + "z" * 5_000] * 3)
    model = Refusing(300)
    assert sample(engine, model).how == "new"
    assert model.lengths == [1_003, 203]


def test_what_an_endpoint_says_of_a_prompt_is_repeated_nowhere(engine: Engine) -> None:
    traffic(engine, FIRST, ["my name is Jane Roe"] * 3)
    with pytest.raises(PermanentError) as raised:
        sample(engine, Refusing(5))
    assert str(raised.value) == (
        "known did not embed the day's prompts: its endpoint failed with status 422, whose words are left out"
    )
    assert "Jane" not in "".join(traceback.format_exception(raised.value))


def test_which_message_counts_is_part_of_what_days_are_compared_by(engine: Engine, model: KnownEmbeddings) -> None:
    traffic(engine, FIRST, TEXTS[:3])
    series = {sample(engine, model, replace(SPEC, message=which)).day.embedding_model for which in ("first", "last")}
    assert series == {"known", "known (last message)"}


def test_a_look_that_finds_no_more_leaves_a_decided_day_as_it_is(engine: Engine, model: KnownEmbeddings) -> None:
    traffic(engine, FIRST, TEXTS[:2])
    few = sample(engine, model).day
    detect_drift(engine, "orders", FIRST, "known", AlertRules(), at(FIRST + timedelta(days=1)))
    with engine.begin() as connection:
        connection.execute(delete(LLM_TRACES))
    again = sample(engine, model).day
    assert (again.id, again.n, again.state) == (few.id, 2, "insufficient")
