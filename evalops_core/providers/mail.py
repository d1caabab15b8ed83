"""The mailer on Resend: one mail → `resend.Emails.send` → what became of it.

What belongs here: the call, its bound in time, and what Resend's answers mean. What does not: what a mail says (mail),
when a deferred one is sent again (run). The SDK keeps key, address and HTTP client in its module, so they are set for
the length of a call, one call at a time.
"""

import asyncio
import base64
import re
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, cast

import aiohttp
from pydantic import SecretStr
from yarl import URL

from evalops_core.domain.look import Look
from evalops_core.domain.mail import Deferred, Mail, Outcome, Refused, Sent
from evalops_core.errors import ConfigError
from evalops_core.providers.foreign import mapping, string
from evalops_core.providers.look import look_of
from evalops_core.providers.proxy import proxy_of
from evalops_core.providers.retry import retry_after_s

if TYPE_CHECKING:
    from resend import Attachment, Emails
    from resend.exceptions import ResendError

LONGEST_PAUSE_S = 86_400.0  # Resend forgets keys after a day, so nobody waits longer for the same mail
_LONGEST_REASON = 300
_LONGEST_ANSWER = 1_000_000
_TEMPORARY = frozenset({408, 425, 429})
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
_CALLING = threading.Lock()


class ResendMailer:
    """A `Mailer` on `POST {base_url}/emails`. `sender` is an address, or `Name <address>`.

    A call ends within `timeout_s` seconds whatever the server does; calls of several threads wait for each other. It
    blocks, so it is made outside of event loops.
    Proxies of the environment are used, but not to reach this machine. ConfigError for a key that cannot be sent in a
    header, and for a `base_url` that is no address.
    """

    def __init__(
        self,
        api_key: SecretStr,
        sender: str,
        base_url: str = "https://api.resend.com",
        timeout_s: float = 10.0,
    ) -> None:
        self._key = api_key.get_secret_value().strip()
        if not re.fullmatch(r"[!-~]+", self._key):
            raise ConfigError("the Resend key is empty, or has spaces or characters in it that no key has")
        try:
            root = URL(base_url)
        except ValueError:
            root = URL()
        if root.scheme not in ("http", "https") or not root.host:
            raise ConfigError(f"{base_url.rpartition('@')[2]!r} is no http:// or https:// address", key="base_url")
        self._host, self._root, self._sender = root.host, str(root).rstrip("/"), sender
        self._http = _BoundedClient(timeout_s)

    def send(self, mail: Mail, recipient: str, key: str) -> Outcome:
        """See `Mailer`. The same arguments make the same request, which Resend demands of a repeated key."""
        from resend import Emails
        from resend.exceptions import ResendError

        try:
            with _CALLING, self._installed():
                answer: object = Emails.send(self._params(mail, recipient), {"idempotency_key": key})
        except ResendError as error:
            return self._failure(error)
        except Exception as error:  # noqa: BLE001  # the SDK trips over answers that it does not expect
            return Deferred(self._reason(f"gave an answer that cannot be read ({type(error).__name__})"))
        provider_id = string(mapping(answer).get("id"))
        if not provider_id:
            return Deferred(self._reason("answered without an id, so it is not known whether it took the mail"))
        return Sent(provider_id)

    def look(self) -> Look:
        """What `GET {base_url}/domains` brings, by which nothing is sent; never raises for what Resend does."""
        asked_at = datetime.now(timezone.utc)
        try:
            headers = {"Authorization": f"Bearer {self._key}"}
            body, status, answered = self._http.request("GET", f"{self._root}/domains", headers)
        except RuntimeError as error:
            return Look(self._host, None, self._fit(str(error)))
        seen = look_of(self._host, status, body, answered, asked_at)
        return replace(seen, said=self._fit(seen.said))

    def _params(self, mail: Mail, recipient: str) -> "Emails.SendParams":
        images: list[Attachment] = [
            {
                "filename": f"{image.cid}.png",
                "content": base64.b64encode(image.png).decode("ascii"),
                "content_type": "image/png",
                "content_id": image.cid,
            }
            for image in mail.images
        ]
        params: Emails.SendParams = {
            "from": self._sender,
            "to": [recipient],
            "subject": mail.subject,
            "html": mail.html,
            "text": mail.text,
            "headers": {"Auto-Submitted": "auto-generated"},  # RFC 3834: nobody's out-of-office answers
        }
        return {**params, "attachments": [*images]} if images else params

    @contextmanager
    def _installed(self) -> Generator[None]:
        import resend

        before = resend.api_key, resend.api_url, resend.default_http_client
        resend.api_key, resend.api_url = self._key, self._root
        resend.default_http_client = cast("Any", self._http)
        try:
            yield
        finally:
            resend.api_key, resend.api_url, resend.default_http_client = before

    def _failure(self, error: "ResendError") -> Deferred | Refused:
        status = int(error.code) if str(error.code).isdigit() else 500
        if error.error_type == "HttpClientError":
            return Deferred(self._reason(error.message))
        reason = self._reason(f"answered {status} {error.error_type}: {error.message}")
        temporary = status >= 500 or status in _TEMPORARY or error.error_type == "concurrent_idempotent_requests"
        if not temporary:
            return Refused(reason)
        headers = {name.lower(): value for name, value in error.headers.items()}
        pause = retry_after_s(headers, datetime.now(timezone.utc))
        return Deferred(reason, min(pause, LONGEST_PAUSE_S) if pause is not None else None)

    def _reason(self, what: str) -> str:
        """Fit to be stored and shown: one line, short, without the key."""
        return self._fit(f"{self._host} {what}")

    def _fit(self, words: str) -> str:
        text = " ".join(_UNPRINTABLE.sub(" ", words.replace(self._key, "…")).split())
        return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 1] + "…"


class _BoundedClient:
    """What the SDK asks for HTTP, with a bound for the whole exchange: its own client's is for each read."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s

    def request(self, method: str, url: str, headers: Mapping[str, str], json: Any = None, **_unused: Any) -> Any:
        """(body, status, headers), or RuntimeError with what went wrong, which the SDK passes on."""
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(self._request(method, url, headers, json))
        finally:
            loop.close()  # does not wait for a name that is still being looked up, as asyncio.run would

    async def _request(self, method: str, url: str, headers: Mapping[str, str], json: Any) -> Any:
        try:
            async with (
                aiohttp.ClientSession(
                    timeout=aiohttp.ClientTimeout(total=self._timeout_s), cookie_jar=aiohttp.DummyCookieJar()
                ) as session,
                session.request(
                    method, url, headers=headers, json=json, allow_redirects=False, proxy=proxy_of(URL(url))
                ) as response,
            ):
                body = b""
                while len(body) <= _LONGEST_ANSWER and (part := await response.content.read(65_536)):
                    body += part
                return body, response.status, dict(response.headers)
        # Causes are cut off: some of aiohttp's exceptions hold the request's headers, key included.
        except asyncio.TimeoutError:
            raise RuntimeError(f"did not answer within {self._timeout_s:.4g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            what = str(error) or type(error).__name__
            raise RuntimeError(f"could not be reached, or hung up: {what}") from None
