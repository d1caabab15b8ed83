"""One JSON request to an OpenAI-compatible endpoint, with its retries, and what its failures mean.

What belongs here: the session, headers, which failures are transient, the words of an error. What does not: what is
asked and answered (chat, embeddings), when it is asked again (retry). aiohttp, because the HTTP client decides what a
case costs: a seventh of the CPU of the `openai` package, a third of httpx at its best.
"""

import asyncio
import math
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
from evalops_core.providers.foreign import count, mapping, parsed, string
from evalops_core.providers.pace import Allowance, CancelledUnsentError, NotSentError, Pace, TooLateError
from evalops_core.providers.retry import (
    BeforeRetry,
    CallPolicy,
    Deadline,
    TryLaterError,
    deadline_of,
    retry_after_s,
    with_retries,
)

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

    Each attempt waits for its turn by `pace` and for what `allowance` allows, where there are such.
    ConfigError where `base_url` is no address.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        path: str,
        api_key: SecretStr | None,
        policy: CallPolicy,
        pace: Pace | None = None,
        allowance: Allowance | None = None,
    ) -> None:
        self.policy = policy
        self._pace, self._allowance = pace, allowance
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
        self, payload: Mapping[str, Json], *, deadline: Deadline | None = None, before_retry: BeforeRetry | None = None
    ) -> Answer:
        """The answer, or TransientError / PermanentError. `deadline` and `before_retry`: see `with_retries`.

        Waiting for a turn is neither an attempt's time nor its latency. TooLateError where the policy's `ends_at` comes
        first; CancelledUnsentError where it is cancelled while an attempt waits.
        """
        try:
            data = orjson.dumps(payload, default=_plain)
        except TypeError as error:
            raise PermanentError(f"the request cannot be written as JSON: {error}", attempts=1) from None
        ends = deadline or deadline_of(self.policy)

        async def send() -> tuple[Mapping[str, Any], float]:
            return await self._in_turn(data, ends)

        (body, latency_s), attempts = await with_retries(send, self.policy, deadline=ends, before_retry=before_retry)
        return Answer(body, latency_s, attempts)

    def error(self, message: str, *, status: int | None = None, maybe_billed: bool = False) -> PermanentError:
        """A PermanentError of this endpoint, fit to be shown: no key in it, and short."""
        return PermanentError(f"{self.host} {self._shown(message)}", status=status, maybe_billed=maybe_billed)

    async def _in_turn(self, data: bytes, deadline: Deadline) -> tuple[Mapping[str, Any], float]:
        """One attempt, when its turn has come: the answer's body, and how long it took."""
        now, pace = asyncio.get_running_loop().time, self._pace
        latest = min(deadline.at, self.policy.ends_at)
        try:
            estimate = await self._allowed(data, latest)
            ticket = await pace.turn(latest=latest, patience_s=deadline.left_s(now())) if pace else None
        except NotSentError:
            raise self._not_sent(deadline, now()) from None
        start = now()
        deadline.begin(start)
        timeout_s = max(0.001, min(self.policy.timeout_s, deadline.left_s(start)))
        failure: BaseException | None = None
        try:
            body = await self._once(data, timeout_s)
        except BaseException as error:
            failure = error
            raise
        finally:
            taken_s = now() - start
            if pace is not None and ticket is not None:
                refused = failure if isinstance(failure, TryLaterError) else None
                pace.ended(
                    ticket,
                    answered=failure is None,
                    status=refused.status if refused else None,
                    retry_after_s=refused.retry_after_s if refused else None,
                    timed_out=taken_s >= timeout_s,
                )
        if self._allowance is not None:
            self._allowance.settle(estimate, _tokens(body))
        return body, taken_s

    async def _allowed(self, data: bytes, latest: float) -> float:
        if self._allowance is None:
            return 0.0
        left = latest - asyncio.get_running_loop().time()
        try:
            return await asyncio.wait_for(self._allowance.take(len(data)), left if math.isfinite(left) else None)
        except asyncio.TimeoutError:
            raise NotSentError from None
        except asyncio.CancelledError:
            raise CancelledUnsentError from None

    def _not_sent(self, deadline: Deadline, now: float) -> CallError:
        if now >= self.policy.ends_at:
            return TooLateError(f"{self.host} is asked no more: the run's deadline has passed")
        closed_s = self._pace.controller.closed_until - now if self._pace else 0.0
        left_s = max(deadline.left_s(now), 0.0)
        if closed_s >= left_s:
            return NotSentError(
                f"{self.host} asks everybody to wait {closed_s:.4g} s and {left_s:.4g} s are left for this call"
            )
        return NotSentError(f"{self.host} took too many calls before this one: its deadline has passed")

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


def _tokens(body: Mapping[str, Any]) -> int | None:
    """What an answer says that it and its question took; None where it says nothing."""
    usage = mapping(body.get("usage"))
    counts = [count(usage.get(name)) for name in ("prompt_tokens", "completion_tokens")]
    known = [tokens for tokens in counts if tokens is not None]
    return sum(known) if known else None


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
