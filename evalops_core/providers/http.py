"""One JSON request to an OpenAI-compatible endpoint, with its retries, and what its failures mean.

What belongs here: the session, headers, which failures are transient, the words of an error. What does not: what is
asked and answered (chat, embeddings), when it is asked again (retry). aiohttp, because the HTTP client decides what a
case costs: a seventh of the CPU of the `openai` package, a third of httpx at its best.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import aiohttp
import orjson
from pydantic import SecretStr
from yarl import URL

from evalops_core.domain.json import Json
from evalops_core.errors import CallError, ConfigError, PermanentError
from evalops_core.providers.foreign import mapping, parsed, string
from evalops_core.providers.retry import BeforeRetry, CallPolicy, TryLaterError, retry_after_s, with_retries

_LONGEST_MESSAGE = 300
_TRANSIENT = frozenset({408, 409, 425, 429})
_BEARER = re.compile(r"(?i)(bearer\s+)[^\s\"',;}]+")


@dataclass(frozen=True, slots=True)
class Answer:
    """A 200's JSON object. `latency_s` is of the attempt that brought it, `attempts` counts it and those before."""

    body: Mapping[str, Any]
    latency_s: float
    attempts: int


@asynccontextmanager
async def open_session(max_connections: int) -> AsyncGenerator[aiohttp.ClientSession, None]:
    """Connections that every client of one event loop shares and reuses, at most `max_connections` at a time.

    A request beyond that waits for a free one, and its attempt's timeout runs meanwhile.
    """
    connector = aiohttp.TCPConnector(limit=max_connections, keepalive_timeout=30)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


class Endpoint:
    """One path under an API root; `base_url` may carry a query (`?api-version=…`), which every request repeats.

    ConfigError where `base_url` is no address.
    """

    def __init__(
        self, session: aiohttp.ClientSession, base_url: str, path: str, api_key: SecretStr | None, policy: CallPolicy
    ) -> None:
        self.policy = policy
        self._session = session
        self._key = api_key.get_secret_value().strip() if api_key else ""
        try:
            root = URL(base_url)
        except ValueError:
            root = URL()
        if root.scheme not in ("http", "https") or not root.host:
            shown = base_url.rpartition("@")[2]  # no user name and password
            raise ConfigError(f"{shown!r} is no http:// or https:// address", key="base_url")
        self.url = root.joinpath(*path.split("/")).with_query(root.query)
        self.host = _host(root)
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key:
            azure = root.host.endswith(".azure.com")  # whose classic deployments know no bearer keys
            self._headers.update({"api-key": self._key} if azure else {"Authorization": f"Bearer {self._key}"})

    async def post(
        self, payload: Mapping[str, Json], *, deadline: float | None = None, before_retry: BeforeRetry | None = None
    ) -> Answer:
        """The answer, or TransientError / PermanentError. `deadline` and `before_retry`: see `with_retries`."""
        try:
            data = orjson.dumps(payload, default=_plain)
        except TypeError as error:
            raise PermanentError(f"the request cannot be written as JSON: {error}", attempts=1) from None
        loop = asyncio.get_running_loop()

        async def send(timeout_s: float) -> tuple[Mapping[str, Any], float]:
            start = loop.time()
            body = await self._once(data, timeout_s)
            return body, loop.time() - start

        (body, latency_s), attempts = await with_retries(
            send, self.policy, deadline=deadline, before_retry=before_retry
        )
        return Answer(body, latency_s, attempts)

    def error(self, message: str, *, status: int | None = None, maybe_billed: bool = False) -> PermanentError:
        """A PermanentError of this endpoint, fit to be shown: no key in it, and short."""
        return PermanentError(f"{self.host} {self._shown(message)}", status=status, maybe_billed=maybe_billed)

    async def _once(self, data: bytes, timeout_s: float) -> Mapping[str, Any]:
        try:
            async with self._session.post(
                self.url,
                data=data,
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                allow_redirects=False,  # a redirected POST loses its body, and could carry the key elsewhere
            ) as response:
                raw = await response.read()
        # Causes are cut off (`from None`): some of aiohttp's exceptions hold the request's headers, key included.
        except asyncio.TimeoutError:
            raise TryLaterError(f"{self.host} did not answer within {timeout_s:.4g} s", maybe_billed=True) from None
        except (aiohttp.InvalidURL, aiohttp.ClientConnectorCertificateError) as error:
            raise self.error(f"cannot be called: {error}") from None
        except (aiohttp.ClientError, OSError) as error:
            what = self._shown(str(error) or type(error).__name__)
            sent = not isinstance(error, aiohttp.ClientConnectorError)
            raise TryLaterError(f"{self.host} could not be reached, or hung up: {what}", maybe_billed=sent) from None
        except ValueError as error:  # a header that cannot be sent: a key with a line break in it
            raise self.error(f"cannot be called: {error}") from None
        if response.status == 200:
            return self._read(raw, response.content_type)
        raise self._failure(response.status, raw, response.headers)

    def _read(self, raw: bytes, content_type: str) -> Mapping[str, Any]:
        try:
            body = parsed(raw)
        except ValueError:
            if content_type == "text/html":
                raise self.error("answered with a web page; is its base_url right?", status=200) from None
            raise TryLaterError(
                f"{self.host} answered 200 with cut-off or invalid JSON", status=200, maybe_billed=True
            ) from None
        if not isinstance(body, dict):
            raise self.error("answered 200 with JSON that is no object", status=200)
        answer = mapping(body)
        if answer.get("error"):  # gateways report an upstream's failure so
            code = mapping(answer["error"]).get("code")
            raise self._failure(code if isinstance(code, int) and code >= 400 else 500, raw, {})
        return answer

    def _failure(self, status: int, raw: bytes, headers: Mapping[str, str]) -> CallError:
        message, codes = _complaint(raw)
        if 300 <= status < 400:
            message = f"a redirect to {headers.get('Location', 'nowhere')}; correct its base_url"
        text = f"{self.host} answered {status}: {self._shown(message) or 'no reason given'}"
        if "insufficient_quota" in codes or not (status in _TRANSIENT or status >= 500):
            return PermanentError(text, status=status)
        return TryLaterError(text, status=status, retry_after_s=retry_after_s(headers, datetime.now(timezone.utc)))

    def _shown(self, text: str) -> str:
        """Without the key, on one line, cut; in this order, so that the cut never leaves half a key."""
        if self._key:
            text = text.replace(self._key, "***")
        line = " ".join(_BEARER.sub(r"\1***", text).split())
        return line if len(line) <= _LONGEST_MESSAGE else line[: _LONGEST_MESSAGE - 1] + "…"


def _complaint(raw: bytes) -> tuple[str, frozenset[str]]:
    """The message of an error body, and its codes (`code`, `type`), whichever of the usual shapes it has."""
    whole = raw.decode("utf-8", "replace")
    try:
        body = parsed(raw)
    except ValueError:
        return whole, frozenset()
    error = mapping(body).get("error", body)
    facts = mapping(error)
    message = facts.get("message") or facts.get("detail") or string(error) or whole
    return str(message), frozenset(str(facts[name]) for name in ("code", "type") if facts.get(name))


def _host(url: URL) -> str:
    return f"{url.host or '?'}:{url.explicit_port}" if url.explicit_port else url.host or "?"


def _plain(value: object) -> object:
    """For orjson, which knows dicts, lists and tuples alone."""
    if isinstance(value, Mapping):
        return dict(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # Json by contract
    if isinstance(value, Sequence):
        return list(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    raise TypeError(f"{type(value).__name__} is no JSON value")
