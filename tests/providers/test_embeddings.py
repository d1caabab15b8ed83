import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from evalops_core.domain.chat import Embedded, EmbeddingModel, Usage
from evalops_core.errors import PermanentError
from evalops_core.providers.embeddings import EmbeddingClient, InBatches
from evalops_core.providers.http import open_session
from evalops_core.providers.retry import CallPolicy
from tests.mock_fixture import MockOpenAI
from tests.mock_openai.answers import embedding

QUICK = CallPolicy(timeout_s=10, deadline_s=60, max_attempts=5, base_backoff_s=0.01, max_backoff_s=0.05)


def embedded(mock: MockOpenAI, *texts: str) -> Embedded:
    async def scene() -> Embedded:
        async with open_session(2) as session:
            client: EmbeddingModel = EmbeddingClient(session, "mock-embedding", mock.base_url, None, QUICK)
            return await InBatches(client).embed(texts)

    return asyncio.run(scene())


def embed(mock: MockOpenAI, *texts: str) -> NDArray[np.float32]:
    return embedded(mock, *texts).vectors


def test_rows_have_unit_length_and_stand_in_the_order_of_the_texts(mock_openai: MockOpenAI) -> None:
    texts = [f"text {at} of many" for at in range(20)]
    rows = embed(mock_openai, *texts)
    expected = np.array([embedding(text, 64) for text in texts])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, expected, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_many_texts_go_in_few_requests_and_each_vector_is_that_of_its_text_alone(mock_openai: MockOpenAI) -> None:
    texts = [f"text {at}" for at in range(600)]
    rows = embed(mock_openai, *texts)
    assert rows.shape == (600, 64)
    assert len(mock_openai.requests()) == 3
    for at in (0, 255, 256, 599):
        np.testing.assert_allclose(rows[at], embed(mock_openai, texts[at])[0], atol=1e-6)


def test_no_texts_are_no_request(mock_openai: MockOpenAI) -> None:
    assert embed(mock_openai).shape == (0, 0)
    assert mock_openai.requests() == []


def test_an_empty_text_has_a_vector_too(mock_openai: MockOpenAI) -> None:
    np.testing.assert_allclose(np.linalg.norm(embed(mock_openai, "", "full"), axis=1), 1, atol=1e-6)


def test_the_reply_says_which_model_answered_and_the_tokens_of_all_its_requests(mock_openai: MockOpenAI) -> None:
    mock_openai.configure(resolved_model="mock-embedding-2")
    reply = embedded(mock_openai, *(f"text {at}" for at in range(300)))
    assert len(mock_openai.requests()) == 2
    assert (reply.model, reply.usage) == ("mock-embedding-2", Usage(mock_openai.stats()["prompt_tokens"], 0))


def test_tokens_that_one_request_does_not_tell_make_them_all_unknown() -> None:
    class Forgetful:
        name = "forgetful"

        async def embed(self, texts: Sequence[str]) -> Embedded:
            return Embedded(np.ones((len(texts), 1), np.float32), "m", Usage(5 if len(texts) > 1 else None, 0))

    def usage(count: int) -> Usage:
        return asyncio.run(InBatches(Forgetful()).embed(["text"] * count)).usage

    assert (usage(256), usage(257)) == (Usage(5, 0), Usage(None, 0))


def test_without_usage_in_the_answer_the_prompt_is_unknown_and_there_is_still_no_completion(
    mock_openai: MockOpenAI,
) -> None:
    mock_openai.configure(usage=False)
    reply = embedded(mock_openai, "a")
    assert (reply.model, reply.usage) == ("mock-embedding", Usage(None, 0))


def test_a_fault_costs_one_more_request_and_changes_nothing(mock_openai: MockOpenAI) -> None:
    faultless = embed(mock_openai, "a", "b")
    mock_openai.reset()
    mock_openai.configure(fail_status=500, fail_times=1)
    np.testing.assert_array_equal(embed(mock_openai, "a", "b"), faultless)
    assert [request["outcome"] for request in mock_openai.requests()] == ["500", "ok"]


@pytest.mark.parametrize(
    "raw",
    [
        "{}",
        '{"data": []}',
        '{"data": null}',
        '{"data": [{"index": 0, "embedding": [1, 2]}]}',
        '{"data": [{"index": 0, "embedding": [1, 2]}, {"index": 0, "embedding": [1, 2]}]}',
        '{"data": [{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": [1]}]}',
        '{"data": [{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": [0, 0]}]}',
        '{"data": [{"index": 0, "embedding": []}, {"index": 1, "embedding": []}]}',
        '{"data": [{"index": 0, "embedding": [1, "x"]}, {"index": 1, "embedding": [1, 2]}]}',
        '{"data": [{"index": 0, "embedding": 1}, {"index": 1, "embedding": 2}]}',
        '{"data": [{"index": null, "embedding": [1]}, 7]}',
    ],
)
def test_vectors_that_cannot_be_used_are_an_error(mock_openai: MockOpenAI, raw: str) -> None:
    mock_openai.configure(raw_body=raw)
    with pytest.raises(PermanentError, match="vector") as caught:
        embed(mock_openai, "a", "b")
    assert caught.value.maybe_billed, "it was answered"
