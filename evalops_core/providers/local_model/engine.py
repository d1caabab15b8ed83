"""The two engines: a chat model in llama.cpp's server, an embedding model in ONNX Runtime.

What belongs here: loading, and the settings that make answers repeatable. What does not: HTTP towards clients
(server), files (files), processes (process).

Repeatable means byte-identical at temperature 0 and at a seeded temperature above it, in any process, on the same kind
of processor. That needs one slot and one thread an engine and no prompt cache: what a warm cache leaves behind changes
even greedy answers. More throughput comes from more engines, not from more threads in one; two threads that wait for
each other on a busy machine lose a factor of thirty.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONTEXT_TOKENS = 2048
EMBEDDING_TOKENS = 256  # what the embedding model was trained with; longer texts are cut
DEFAULT_SEED = 42


class ChatEngine:
    """llama.cpp's own OpenAI-compatible server on a loopback port of its choice, with one slot and one thread.

    `url` is its API root; every request needs `api_key`, because the engine itself answers any web page's script.
    Requests over capacity wait inside the engine.
    """

    def __init__(self, model: Path, *, api_key: str) -> None:
        xllamacpp = _untyped("xllamacpp")
        params = xllamacpp.CommonParams()
        params.model.path = str(model)
        params.hostnames = ["127.0.0.1"]
        params.port = 0
        params.api_keys = [api_key]
        params.n_ctx = CONTEXT_TOKENS
        params.n_parallel = 1
        params.n_gpu_layers = 0
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        params.cache_prompt = False
        params.cache_ram_mib = 0  # by default finished prompts are kept in up to 8 GB of memory
        params.cache_idle_slots = False
        params.sampling.seed = DEFAULT_SEED
        params.verbosity = 1  # errors only
        self._server = xllamacpp.Server(params)
        self.url = f"{self._server.listening_address}/v1"


@dataclass(frozen=True, slots=True)
class Embedded:
    """`vector`: shape (384,), unit length. `tokens`: counted with the two markers, after cutting."""

    vector: NDArray[np.float32]
    tokens: int


class EmbeddingEngine:
    """MiniLM-L6-v2: the mean of the token vectors under the attention mask, normalised to unit length
    (Reimers & Gurevych 2019, the pooling that the model was trained with). Safe to call from several threads.
    """

    def __init__(self, model: Path, tokenizer: Path) -> None:
        onnxruntime, tokenizers = _untyped("onnxruntime"), _untyped("tokenizers")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._tokenizer = tokenizers.Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(EMBEDDING_TOKENS)
        self._tokenizer.no_padding()

    def embed(self, text: str) -> Embedded:
        """One text by itself: the quantised model scales activations over a whole batch, so that in one batch the
        neighbours of a text would change its vector."""
        ids: Sequence[int] = self._tokenizer.encode(text).ids
        tokens = np.asarray([ids], dtype=np.int64)
        mask = np.ones_like(tokens)
        feed = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(tokens)}
        states: NDArray[np.float32] = self._session.run(["last_hidden_state"], feed)[0][0]
        mean = states.mean(axis=0, dtype=np.float64)
        return Embedded((mean / np.linalg.norm(mean)).astype(np.float32), len(ids))


def _untyped(module: str) -> Any:
    # Imported only where a model is loaded: neither package is there without the extra `local`.
    return importlib.import_module(module)
