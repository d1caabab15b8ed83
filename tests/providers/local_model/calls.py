"""Asking a model server over HTTP, and reading its request log."""

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class ServerUnderTest:
    root: Path
    url: str

    def post(self, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        """The status and the answer; bytes are sent as they are, anything else as JSON."""
        connection = self.connect()
        try:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            connection.request("POST", f"/v1{path}", body=data, headers={"Content-Type": "application/json"})
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read())
        finally:
            connection.close()

    def text(self, prompt: str, **parameters: Any) -> str:
        body = {"messages": [{"role": "user", "content": prompt}], "temperature": 0, "max_tokens": 24, **parameters}
        status, answer = self.post("/chat/completions", body)
        assert status == 200, answer
        return answer["choices"][0]["message"]["content"]

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=120)

    def log(self) -> list[dict[str, Any]]:
        path = self.root / "model" / "requests.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def eventually(holds: Callable[[], bool], *, within_s: float = 60.0) -> None:
    """Looks again and again at something that another process changes without telling us."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
