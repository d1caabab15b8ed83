"""The mock's HTTP: one process, httptools on the event loop, no web framework, so that it never is the bottleneck.

POST /v1/chat/completions, /v1/embeddings    answers, or faults (see settings.Behaviour)
GET  /v1/models, /healthz
GET  /stats        counters since the last reset        GET  /requests   the log: key, kind, attempt, outcome
POST /reset        forget what was asked                POST /config     change any setting; GET reads them
"""

import asyncio
import math
import time
from dataclasses import asdict
from statistics import NormalDist
from typing import Any, cast

import httptools
import orjson

from tests.mock_openai import answers
from tests.mock_openai.record import Entry, Kind, Record
from tests.mock_openai.settings import Behaviour

FAULTS = ("429", "500", "reset", "hang", "cutoff", "truncated")
JUDGE_FAULTS = ("badjson", "badscore")


class Mock:
    """What all connections of one server share."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.record = Record()
        self._bucket, self._filled_at = math.inf, 0.0

    def takes_one_more(self, now: float) -> bool:
        """Whether the bucket, which fills by `rps_limit` a second and holds as much, still holds one request."""
        a_second = self.behaviour.rps_limit
        self._bucket = min(a_second, self._bucket + (now - self._filled_at) * a_second)
        self._filled_at = now
        if self._bucket < 1:
            return False
        self._bucket -= 1
        return True

    def control(self, path: str, body: bytes) -> bytes | None:
        """The answer to a request that is no question to a model; None if there is no such path."""
        if path == "/stats":
            return _http(200, self.record.report())
        if path == "/requests":
            return _http(200, [asdict(entry) for entry in self.record.requests])
        if path == "/reset":
            self.record = Record()
            return _http(200, {})
        if path == "/config":
            try:
                self.behaviour = self.behaviour.changed(orjson.loads(body) if body else {})
            except ValueError as error:
                return _failed(400, str(error))
            return _http(200, self.behaviour.as_json())
        if path == "/healthz":
            return _http(200, {"ok": True})
        if path.endswith("/models"):
            names = ("mock-model", "mock-judge", "mock-embedding")
            return _http(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in names]})
        return None


class Connection(asyncio.Protocol):
    """One connection; httptools calls the `on_…` methods."""

    def __init__(self, mock: Mock) -> None:
        self._mock = mock
        self._counted_in: Record | None = None
        self._waiting: tuple[asyncio.TimerHandle, Record, Entry, str] | None = None
        self._transport: asyncio.Transport
        self._start()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpRequestParser(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting:
            timer, record, entry, outcome = self._waiting
            timer.cancel()
            record.ended(entry, "hang" if outcome == "hang" else "client_gone")

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._transport.write(_failed(400, repr(error)))
            self._transport.close()

    def on_message_begin(self) -> None:
        self._start()

    def on_url(self, url: bytes) -> None:
        self._path = url.split(b"?", 1)[0].decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() in (b"authorization", b"api-key"):
            self._key = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        body = b"".join(self._body)
        if self._path.endswith(("/chat/completions", "/embeddings")):
            self._ask(body, embed=self._path.endswith("/embeddings"))
        elif self._path.endswith("/models") and not self._takes_key():
            self._transport.write(_refusal(401, self._mock.behaviour, self._key))
        else:
            self._transport.write(self._mock.control(self._path, body) or _failed(404, f"no such path: {self._path}"))

    def _start(self) -> None:
        self._path, self._key, self._body = "", "", list[bytes]()

    def _ask(self, raw: bytes, *, embed: bool) -> None:
        """Decides how the request ends, and lets it end so after the latency."""
        behaviour, record = self._mock.behaviour, self._mock.record
        if self._counted_in is not record:
            self._counted_in, record.connections = record, record.connections + 1
        try:
            request: dict[str, Any] = orjson.loads(raw)
            text = answers.text_of(request["input" if embed else "messages"])
        except (ValueError, KeyError, TypeError) as error:
            record.refused["400"] += 1
            self._transport.write(_failed(400, f"unusable request: {error!r}"))
            return
        kind: Kind = "embed" if embed else "judge" if _is_judge(request) else "generate"
        content = answers.digest(text)
        entry = record.arrived(answers.key_of(text), kind, content, str(request.get("model", "")))
        drawn = answers.digest(behaviour.seed, kind, content, entry.attempt)
        outcome = self._outcome(request, entry, drawn, behaviour, record)
        if outcome in ("ok", "cutoff", "truncated", *JUDGE_FAULTS):
            record.paid[kind, entry.key] += 1
        delay = (
            behaviour.hang_s if outcome == "hang" else 0.0 if outcome.isdigit() else _latency(behaviour, kind, drawn)
        )
        if delay > 0:
            timer = asyncio.get_running_loop().call_later(delay, self._end, record, behaviour, request, entry, outcome)
            self._waiting = (timer, record, entry, outcome)
        else:
            self._end(record, behaviour, request, entry, outcome)

    def _takes_key(self) -> bool:
        wanted = self._mock.behaviour.require_key
        return not wanted or self._key == f"Bearer {wanted}"

    def _outcome(
        self, request: dict[str, Any], entry: Entry, drawn: bytes, behaviour: Behaviour, record: Record
    ) -> str:
        if not self._takes_key():
            return "401"
        if behaviour.fail_status and (not behaviour.fail_times or entry.attempt <= behaviour.fail_times):
            return str(behaviour.fail_status)
        if not behaviour.takes_schema and "json_schema" in _wanted_format(request):
            return "400"
        if behaviour.inflight_limit and record.in_flight > behaviour.inflight_limit:
            return "429"
        if behaviour.rps_limit and not self._mock.takes_one_more(time.monotonic()):
            return "429"
        left = answers.unit(drawn)
        for fault in (*FAULTS, *JUDGE_FAULTS) if entry.kind == "judge" else FAULTS:
            left -= getattr(behaviour, f"rate_{fault}")
            if left < 0:
                return fault
        return "ok"

    def _end(self, record: Record, behaviour: Behaviour, request: dict[str, Any], entry: Entry, outcome: str) -> None:
        self._waiting = None
        record.ended(entry, outcome)
        if outcome.isdigit():
            self._transport.write(_refusal(int(outcome), behaviour, self._key))
        elif outcome == "reset":
            self._transport.abort()
        elif outcome == "hang":
            self._transport.close()
        else:
            if entry.kind == "embed":
                body = _embeddings(behaviour, record, request)
            else:
                body = _completion(behaviour, record, request, entry, outcome)
            whole = behaviour.raw_body.encode() or orjson.dumps(body)
            if outcome == "truncated":
                whole = whole[: len(whole) // 2]
            answer = _http(200, whole)
            self._transport.write(answer[: -len(whole) // 2] if outcome == "cutoff" else answer)
            if outcome == "cutoff":
                self._transport.close()


def _is_judge(request: dict[str, Any]) -> bool:
    return "judge" in str(request.get("model", "")) or bool(request.get("response_format"))


def _wanted_format(request: dict[str, Any]) -> dict[str, Any]:
    return request.get("response_format") or {}


def _latency(behaviour: Behaviour, kind: Kind, drawn: bytes) -> float:
    """Seconds."""
    median = behaviour.latency_ms
    if kind == "judge" and behaviour.judge_latency_ms >= 0:
        median = behaviour.judge_latency_ms
    if behaviour.latency_sigma > 0:
        quantile = min(max(answers.unit(drawn, 8), 1e-9), 1 - 1e-9)
        median *= math.exp(behaviour.latency_sigma * NormalDist().inv_cdf(quantile))
    return median / 1000


def _completion(
    behaviour: Behaviour, record: Record, request: dict[str, Any], entry: Entry, outcome: str
) -> dict[str, Any]:
    text = answers.text_of(request["messages"])
    if entry.kind == "judge":
        wanted = _wanted_format(request).get("json_schema", {})
        content = answers.judgment(entry.key, wanted.get("schema"), behaviour.axes.split(","))
        if outcome == "badjson":
            content = content[: len(content) // 2]
        elif outcome == "badscore":
            content = orjson.dumps({behaviour.axes.split(",")[0]: 9}).decode()
    else:
        content = answers.answer(entry.key, text, behaviour.answer_chars)
    message, finish_reason = _message(behaviour.content, content)
    usage = {"prompt_tokens": len(text) // 4 + 4, "completion_tokens": len(content) // 4 + 1}
    record.prompt_tokens += usage["prompt_tokens"]
    record.completion_tokens += usage["completion_tokens"]
    body: dict[str, Any] = {
        "id": f"chatcmpl-{entry.key}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": behaviour.resolved_model or request.get("model"),
        "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}],
    }
    return {**body, "usage": {**usage, "total_tokens": sum(usage.values())}} if behaviour.usage else body


def _message(shape: str, content: str) -> tuple[dict[str, Any], str]:
    """The message and the finish reason of an answer that holds `content` in this shape."""
    function = {"name": "answer", "arguments": content}
    shapes: dict[str, tuple[dict[str, Any], str]] = {
        "text": ({"content": content, "refusal": None}, "stop"),
        "parts": ({"content": [{"type": "text", "text": content}]}, "stop"),
        "null": ({"content": None}, "length"),
        "empty": ({"content": ""}, "stop"),
        "refusal": ({"content": None, "refusal": "I cannot help with that."}, "stop"),
        "filtered": ({"content": None}, "content_filter"),
        "tool_call": ({"content": None, "tool_calls": [{"type": "function", "function": function}]}, "tool_calls"),
    }
    return shapes[shape]


def _embeddings(behaviour: Behaviour, record: Record, request: dict[str, Any]) -> dict[str, Any]:
    asked: Any = request["input"]
    texts: list[str] = [asked] if isinstance(asked, str) else asked
    data = [
        {"object": "embedding", "index": at, "embedding": answers.embedding(text, behaviour.dimensions)}
        for at, text in enumerate(texts)
    ]
    tokens = sum(len(text) // 4 + 2 for text in texts)
    record.prompt_tokens += tokens
    body = {
        "object": "list",
        "model": behaviour.resolved_model or request.get("model"),
        "data": data[::-1],  # last first: a client has to go by `index`
    }
    return {**body, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}} if behaviour.usage else body


def _refusal(status: int, behaviour: Behaviour, key: str) -> bytes:
    message, code = behaviour.fail_message, behaviour.fail_code
    if status == 400 and not behaviour.takes_schema:
        message = "'response_format' of type 'json_schema' is not supported by this model"
    if behaviour.echo_headers:
        message += f" (Authorization: {key}; key {key.removeprefix('Bearer ')})"
    headers = ""
    if status in (429, 503) and behaviour.retry_after:
        headers += f"retry-after: {behaviour.retry_after}\r\n"
    if status in (429, 503) and behaviour.retry_after_ms:
        headers += f"retry-after-ms: {behaviour.retry_after_ms}\r\n"
    if 300 <= status < 400:
        headers += "location: http://127.0.0.1:1/elsewhere\r\n"
    return _failed(status, message, code, headers)


def _failed(status: int, message: str, code: str = "", headers: str = "") -> bytes:
    body = {"error": {"message": message, "type": "error", "param": None, "code": code or None}}
    return _http(status, body, headers)


def _http(status: int, body: object, headers: str = "") -> bytes:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    kind = "text/html" if raw.startswith(b"<") else "application/json"
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(raw)}\r\n{headers}\r\n"
    return head.encode("latin-1") + raw
