"""The loopback HTTP server in front of the engines: the part of OpenAI's protocol that evaluation needs.

What belongs here: routes, checking requests, handing each to a free engine. What does not: loading models (engine),
finding or starting the server (process).

`POST /v1/chat/completions` (no streaming), `POST /v1/embeddings`, `GET /v1/models`, `GET /health`. Requests over
capacity wait, in order of arrival; none is turned away. When a client goes away its request is dropped from the queue,
or its generation stopped.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import aiohttp
from aiohttp import web

from evalops_core.providers.local_model.catalogue import CHAT_MODEL_ID, EMBEDDING_MODEL_ID
from evalops_core.providers.local_model.engine import DEFAULT_SEED, ChatEngine, EmbeddingEngine
from evalops_core.providers.local_model.request_log import Outcome, RequestLog

MAX_BODY_BYTES = 32 * 1024 * 1024


class RequestError(Exception):
    """The request cannot be answered; `status` and the message go to the client."""

    def __init__(self, message: str, *, status: int = 400, kind: str = "invalid_request_error") -> None:
        self.status, self.kind = status, kind
        super().__init__(message)


class ModelApp:
    """The routes over `engines` (at least one) and `embedder`. `token` proves the server's identity in `/health`."""

    def __init__(
        self,
        engines: Sequence[ChatEngine],
        embedder: EmbeddingEngine,
        *,
        engine_key: str,
        token: str,
        fingerprint: str,
        log: RequestLog,
    ) -> None:
        self._engines, self._embedder, self._log = tuple(engines), embedder, log
        self._engine_key, self._token, self._fingerprint = engine_key, token, fingerprint
        self._free: asyncio.Queue[int] = asyncio.Queue()
        self._threads = ThreadPoolExecutor(max_workers=len(self._engines), thread_name_prefix="embed")
        self._started = int(time.time())
        self._client: aiohttp.ClientSession | None = None

    def application(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_post("/v1/chat/completions", self.chat)
        app.router.add_post("/v1/embeddings", self.embeddings)
        app.router.add_get("/v1/models", self.models)
        app.router.add_get("/health", self.health)
        app.on_startup.append(self._open)
        app.on_cleanup.append(self._close)
        return app

    async def _open(self, _: web.Application) -> None:
        for number in range(len(self._engines)):
            self._free.put_nowait(number)
        # The engines stand on loopback and answer in their own time; a limit belongs to whoever asked.
        self._client = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None), headers={"Authorization": f"Bearer {self._engine_key}"}
        )

    async def _close(self, _: web.Application) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            await self._client.close()

    async def health(self, request: web.Request) -> web.Response:
        """`?challenge=X` is answered with HMAC-SHA256(token, X), which only the server with our token can do."""
        proof = hmac.new(self._token.encode(), request.query.get("challenge", "").encode(), hashlib.sha256).hexdigest()
        return web.json_response(
            {"status": "ok", "engines": len(self._engines), "fingerprint": self._fingerprint, "proof": proof}
        )

    async def models(self, _: web.Request) -> web.Response:
        data = [
            {"id": name, "object": "model", "created": self._started, "owned_by": "evalops"}
            for name in (CHAT_MODEL_ID, EMBEDDING_MODEL_ID)
        ]
        return web.json_response({"object": "list", "data": data})

    async def chat(self, request: web.Request) -> web.Response:
        raw = await request.read()
        with self._log.record("chat", raw) as outcome:
            try:
                status, answer = await self._complete(_chat_body(raw), outcome)
            except RequestError as refusal:
                status, answer = refusal.status, _error(refusal)
            outcome.status = status
            return web.json_response(answer, status=status)

    async def _complete(self, body: dict[str, Any], outcome: Outcome) -> tuple[int, dict[str, Any]]:
        asked = {"seed": DEFAULT_SEED, **body, "cache_prompt": False}
        assert self._client is not None  # noqa: S101  opened on startup, before the first request can arrive
        waiting_since = time.monotonic()
        number = await self._free.get()
        outcome.engine, outcome.queued_s = number, time.monotonic() - waiting_since
        try:
            async with self._client.post(f"{self._engines[number].url}/chat/completions", json=asked) as reply:
                status, answer = reply.status, json.loads(await reply.read())
        except (aiohttp.ClientError, ValueError) as error:
            raise RequestError(
                f"the embedded model's engine failed: {error!r}", status=500, kind="server_error"
            ) from error
        finally:
            self._free.put_nowait(number)
        if status == 200:
            usage: dict[str, Any] = answer.get("usage") or {}
            outcome.prompt_tokens, outcome.completion_tokens = (
                usage.get("prompt_tokens"),
                usage.get("completion_tokens"),
            )
            answer |= {"model": CHAT_MODEL_ID, "system_fingerprint": self._fingerprint}
        return status, answer

    async def embeddings(self, request: web.Request) -> web.Response:
        raw = await request.read()
        with self._log.record("embeddings", raw) as outcome:
            try:
                body = _checked(raw, EMBEDDING_MODEL_ID)
                answer = await self._embed(_texts(body), outcome, as_base64=_wants_base64(body))
                status = 200
            except RequestError as refusal:
                status, answer = refusal.status, _error(refusal)
            outcome.status = status
            return web.json_response(answer, status=status)

    async def _embed(self, texts: list[str], outcome: Outcome, *, as_base64: bool) -> dict[str, Any]:
        loop, data, tokens = asyncio.get_running_loop(), list[dict[str, Any]](), 0
        for index, text in enumerate(texts):
            embedded = await loop.run_in_executor(self._threads, self._embedder.embed, text)
            tokens += embedded.tokens
            vector = embedded.vector
            value = base64.b64encode(vector.astype("<f4").tobytes()).decode() if as_base64 else vector.tolist()
            data.append({"object": "embedding", "index": index, "embedding": value})
        outcome.prompt_tokens = tokens
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "data": data, "model": EMBEDDING_MODEL_ID, "usage": usage}


def _checked(raw: bytes, model_id: str) -> dict[str, Any]:
    try:
        given = json.loads(raw)
    except ValueError as error:
        raise RequestError(f"the body is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise RequestError("the body must be a JSON object")
    body = cast("dict[str, Any]", given)
    name = body.get("model")
    if name not in (None, "", model_id):
        raise RequestError(f"there is no model {name!r} here; ask for {model_id!r}", status=404, kind="model_not_found")
    return body


def _chat_body(raw: bytes) -> dict[str, Any]:
    body = _checked(raw, CHAT_MODEL_ID)
    if not body.get("messages"):
        raise RequestError("`messages` must be a list of at least one message")
    if body.get("stream"):
        raise RequestError("streaming is not supported by the embedded model; send the request without `stream`")
    return body


def _texts(body: dict[str, Any]) -> list[str]:
    given: Any = body.get("input")
    texts = [given] if isinstance(given, str) else cast("list[Any]", given) if isinstance(given, list) else []
    if not texts or not all(isinstance(text, str) for text in texts):
        raise RequestError("`input` must be a string or a list of at least one string")
    return texts


def _wants_base64(body: dict[str, Any]) -> bool:
    wanted = body.get("encoding_format", "float")
    if wanted not in ("float", "base64"):
        raise RequestError(f"`encoding_format` must be 'float' or 'base64', not {wanted!r}")
    return wanted == "base64"


def _error(refusal: RequestError) -> dict[str, Any]:
    return {"error": {"message": str(refusal), "type": refusal.kind, "code": refusal.status}}
