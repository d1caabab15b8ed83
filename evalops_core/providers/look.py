"""A look at an endpoint: one GET that costs nothing, once, without retries.

What belongs here: the request, and reading its answer. What does not: what follows from it (run.doctor).
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

import aiohttp

from evalops_core.domain.look import Look, ahead_s
from evalops_core.providers.foreign import items, mapping, parsed, string
from evalops_core.providers.http import Endpoint

_LONGEST_ANSWER = 8_000_000  # a gateway's list of a few hundred models has some 500 KB


class LookedAt(Endpoint):
    """An endpoint's path that is only looked at; the key goes where it goes with a call, and nowhere else."""

    async def look(self, timeout_s: float = 10.0) -> Look:
        """Never raises for what the endpoint does; ends within `timeout_s` seconds."""
        asked_at = datetime.now(timezone.utc)
        try:
            async with self._session.get(
                self.url,
                headers={name: value for name, value in self._headers.items() if name != "Content-Type"},
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                allow_redirects=False,
            ) as response:
                body = b""
                while len(body) <= _LONGEST_ANSWER and (part := await response.content.read(65_536)):
                    body += part
        # Causes are cut off: some of aiohttp's exceptions hold the request's headers, key included.
        except asyncio.TimeoutError:
            return Look(self.host, None, f"did not answer within {timeout_s:.4g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Look(self.host, None, self._shown(f"could not be reached, or hung up: {_reason(error)}"))
        seen = look_of(self.host, response.status, body, response.headers, asked_at)
        return replace(seen, said=self._shown(seen.said))


def look_of(host: str, status: int, body: bytes, headers: Mapping[str, str], asked_at: datetime) -> Look:
    """What an answer says; its words may still hold a key that the endpoint repeated."""
    fields = {name.lower(): value for name, value in headers.items()}
    try:
        answer = parsed(body)
    except ValueError:
        answer = None
    ahead = _ahead_s(fields.get("date"), asked_at)
    if status == 200:
        listed = _listed(mapping(answer).get("data"))
        page = "a web page" if "html" in fields.get("content-type", "") else "no list"
        more = mapping(answer).get("has_more") is True
        return Look(host, status, "" if listed is not None else page, "", listed, not more, ahead)
    if 300 <= status < 400:
        return Look(host, status, f"a redirect to {fields.get('location', 'nowhere')}", ahead_s=ahead)
    facts = mapping(mapping(answer).get("error", answer))
    code = next((str(facts[name]) for name in ("name", "code", "type") if string(facts.get(name))), "")
    said = string(facts.get("message")) or string(facts.get("detail")) or string(mapping(answer).get("error")) or ""
    return Look(host, status, said, code, ahead_s=ahead)


def _listed(data: object) -> Mapping[str, str] | None:
    """By id and by name: models are known by the one, domains by the other."""
    if not isinstance(data, list):
        return None
    listed: dict[str, str] = {}
    for item in map(mapping, items(data)):
        named = [string(item.get(field)) for field in ("id", "name")]
        listed |= {name: string(item.get("status")) or "" for name in named if name}
    return listed


def _reason(error: Exception) -> str:
    """The system's own word, where there is one; aiohttp's sentence repeats the address and shows Python's values."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    number = cause.errno if isinstance(cause, OSError) else None
    return os.strerror(number) if number is not None and number > 0 else str(error) or type(error).__name__


def _ahead_s(date: str | None, asked_at: datetime) -> float | None:
    try:
        then = parsedate_to_datetime(date or "")
    except ValueError:
        return None
    if then.tzinfo is None:
        return None
    return ahead_s(asked_at, datetime.now(timezone.utc), then, then + timedelta(seconds=1))  # without its fraction
