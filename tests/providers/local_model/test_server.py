"""The real models behind HTTP."""

import base64
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evalops_core.providers.local_model.catalogue import CHAT_MODEL_ID, EMBEDDING_MODEL_ID
from evalops_core.providers.local_model.process import ModelServer
from tests.providers.local_model.calls import ServerUnderTest, eventually

pytestmark = [pytest.mark.model, pytest.mark.process]

PROMPTS = ("Name a fruit.", "What is a river bank?", "Translate 'good morning' to Spanish.", "Why is the sky blue?")


def embed(server: ServerUnderTest, *texts: str) -> NDArray[np.float32]:
    status, answer = server.post("/embeddings", {"model": EMBEDDING_MODEL_ID, "input": list(texts)})
    assert status == 200, answer
    assert [row["index"] for row in answer["data"]] == list(range(len(texts)))
    return np.array([row["embedding"] for row in answer["data"]], dtype=np.float32)


def test_answers_are_byte_identical_in_another_process_and_on_either_engine(
    server: ServerUnderTest, model_root: Any
) -> None:
    other = ServerUnderTest(model_root, ModelServer(model_root, engines=1).start().url)
    asked = [(prompt, temperature) for prompt in PROMPTS for temperature in (0, 0.8)]
    one_by_one = [other.text(prompt, temperature=temperature, seed=7) for prompt, temperature in asked]
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(server.text, prompt, temperature=at, seed=7) for prompt, at in reversed(asked)]
        at_once = [future.result() for future in reversed(futures)]
    assert at_once == one_by_one
    assert len(set(one_by_one)) > len(PROMPTS)  # the temperature does change something
    used = {entry["engine"] for entry in server.log() if entry["event"] == "finished" and entry["kind"] == "chat"}
    assert used == {0, 1}


def test_an_answer_names_its_model_and_counts_its_tokens(server: ServerUnderTest) -> None:
    body = {"model": CHAT_MODEL_ID, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5}
    status, answer = server.post("/chat/completions", body)
    assert (status, answer["model"]) == (200, CHAT_MODEL_ID)
    assert answer["usage"]["completion_tokens"] == 5
    assert answer["choices"][0]["finish_reason"] == "length"


def test_a_json_schema_is_kept_to(server: ServerUnderTest) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "size": {"enum": ["small", "large"]}},
        "required": ["city", "size"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": schema}}
    text = server.text("Describe Paris as JSON.", response_format=wanted, max_tokens=80)
    place = json.loads(text)
    assert set(place) == {"city", "size"}
    assert place["size"] in ("small", "large")


def test_a_prompt_over_the_context_is_a_clean_400(server: ServerUnderTest) -> None:
    status, answer = server.post("/chat/completions", {"messages": [{"role": "user", "content": "x y " * 3000}]})
    assert status == 400
    assert "context" in answer["error"]["message"]
    assert server.text("Still there?", max_tokens=2)


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/chat/completions", b"{", 400, "not JSON"),
        ("/chat/completions", [1], 400, "JSON object"),
        ("/chat/completions", {"messages": []}, 400, "at least one message"),
        ("/chat/completions", {"messages": [{"role": "user", "content": "x"}], "stream": True}, 400, "streaming"),
        ("/chat/completions", {"model": "gpt-4o", "messages": []}, 404, CHAT_MODEL_ID),
        ("/embeddings", {"input": []}, 400, "`input`"),
        ("/embeddings", {"input": ["a", 1]}, 400, "`input`"),
        ("/embeddings", {"input": "a", "encoding_format": "int8"}, 400, "encoding_format"),
        ("/embeddings", {"input": "a", "model": CHAT_MODEL_ID}, 404, EMBEDDING_MODEL_ID),
    ],
)
def test_a_bad_request_is_refused_in_words(
    server: ServerUnderTest, path: str, body: Any, status: int, said: str
) -> None:
    got, answer = server.post(path, body)
    assert got == status
    assert said in answer["error"]["message"]


def test_requests_over_capacity_wait_and_are_all_answered(server: ServerUnderTest) -> None:
    with ThreadPoolExecutor(12) as pool:
        futures = [pool.submit(server.text, "Count: one, two,", max_tokens=3) for _ in range(12)]
        assert len({future.result() for future in futures}) == 1


def test_the_log_tells_what_was_asked_without_the_text(server: ServerUnderTest) -> None:
    body = json.dumps(
        {"messages": [{"role": "user", "content": "A secret about Zanzibar"}], "max_tokens": 3, "temperature": 0}
    ).encode()
    status, answer = server.post("/chat/completions", body)
    assert status == 200
    mine = [entry for entry in server.log() if entry["body_sha256"] == hashlib.sha256(body).hexdigest()]
    assert [entry["event"] for entry in mine] == ["arrived", "finished"]
    assert mine[0]["id"] == mine[1]["id"]
    assert (mine[1]["status"], mine[1]["aborted"]) == (200, False)
    assert mine[1]["completion_tokens"] == answer["usage"]["completion_tokens"]
    assert "Zanzibar" not in (server.root / "model" / "requests.jsonl").read_text()


def test_a_client_that_goes_away_is_logged_and_its_engine_freed(model_root: Any) -> None:
    alone = ServerUnderTest(model_root, ModelServer(model_root, engines=1).start().url)
    endless = {"messages": [{"role": "user", "content": "Tell a story."}], "max_tokens": 1900, "ignore_eos": True}
    connection = alone.connect()
    connection.request("POST", "/v1/chat/completions", body=json.dumps(endless))
    eventually(lambda: len(alone.log()) == 1)
    connection.close()
    eventually(lambda: len(alone.log()) == 2)
    assert alone.text("Hello", max_tokens=2)
    arrived, given_up, _, answered = alone.log()
    assert (given_up["id"], given_up["aborted"], given_up["status"]) == (arrived["id"], True, None)
    assert (answered["event"], answered["aborted"]) == ("finished", False)


def test_embeddings_have_unit_length_and_put_like_beside_like(server: ServerUnderTest) -> None:
    vectors = embed(server, "The cat sleeps on the sofa.", "A kitten naps on the couch.", "Stocks fell on Friday.")
    assert vectors.shape == (3, 384)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert vectors[0] @ vectors[1] > 0.4 + vectors[0] @ vectors[2]


def test_a_text_has_the_same_embedding_in_any_company(server: ServerUnderTest) -> None:
    texts = ["short", "a sentence of middling length about rivers", "word " * 300, ""]
    together = embed(server, *texts)
    assert (together == np.concatenate([embed(server, text) for text in texts])).all()


def test_a_text_is_cut_at_256_tokens(server: ServerUnderTest) -> None:
    status, answer = server.post("/embeddings", {"input": "word " * 1000})
    assert (status, answer["usage"]["prompt_tokens"]) == (200, 256)
    vectors = embed(server, "word " * 1000, "word " * 254 + "and something else entirely")
    assert (vectors[0] == vectors[1]).all()


def test_base64_holds_the_same_numbers(server: ServerUnderTest) -> None:
    _, answer = server.post("/embeddings", {"input": "a river", "encoding_format": "base64"})
    decoded = np.frombuffer(base64.b64decode(answer["data"][0]["embedding"]), dtype="<f4")
    assert (decoded == embed(server, "a river")[0]).all()


def test_the_models_are_listed(server: ServerUnderTest) -> None:
    connection = server.connect()
    connection.request("GET", "/v1/models")
    listed = json.loads(connection.getresponse().read())
    connection.close()
    assert [model["id"] for model in listed["data"]] == [CHAT_MODEL_ID, EMBEDDING_MODEL_ID]
