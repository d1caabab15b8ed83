"""The ping that tells a dead-man's switch that all is well: one GET.

What belongs here: the call, and what went wrong with it in words. What does not: when all is well (run.heartbeat). Such
addresses carry a token, so nothing that is said here holds any part of one.
"""

import asyncio
import os
import socket

import aiohttp
from pydantic import SecretStr
from yarl import URL

from evalops_core.errors import ConfigError
from evalops_core.providers.proxy import proxy_of


class Heartbeat:
    """GET `url`; a redirect is not followed. ConfigError, without the address, where it is no http(s) address.

    A ping ends within `timeout_s` seconds whatever the server does. It blocks, so it is made outside of event loops.
    """

    def __init__(self, url: SecretStr, timeout_s: float = 10.0) -> None:
        try:
            self._url = URL(url.get_secret_value().strip())
        except ValueError:
            self._url = URL()
        if self._url.scheme not in ("http", "https") or not self._url.host:
            raise ConfigError("expected an http:// or https:// address", key="EVALOPS_HEARTBEAT_URL")
        self._timeout_s = timeout_s

    def ping(self) -> str | None:
        """None where it was taken (2xx), else why not."""
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(self._ping())
        finally:
            loop.close()  # does not wait for a name that is still being looked up, as asyncio.run would

    async def _ping(self) -> str | None:
        timeout = aiohttp.ClientTimeout(total=self._timeout_s)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.get(self._url, allow_redirects=False, proxy=proxy_of(self._url)) as response,
            ):
                return None if 200 <= response.status < 300 else f"the answer was {response.status}"
        except asyncio.TimeoutError:
            return f"there was no answer within {self._timeout_s:.4g} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return f"it could not be reached ({_cause(error)})"


def _cause(error: Exception) -> str:
    """Not in the error's own words, which may hold the address."""
    system = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(system, socket.gaierror):
        return "its name cannot be looked up"
    known = system.errno if isinstance(system, OSError) else None
    return os.strerror(known) if known else type(error).__name__
