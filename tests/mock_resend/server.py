"""The mock's HTTP.

POST /emails       as Resend's: bearer key, required fields, idempotency keys; or faults (see settings.Behaviour)
GET  /domains      as Resend's: the key's verified domains, or 401 for a key that may only send
GET  /mails        the mails that were taken          GET  /requests   the log: key, outcome
GET  /stats        counters; with mails=, requests= or in_flight= it answers once there are so many, at the latest
                   after timeout= seconds (`reached` says which)
POST /config       change any setting; GET reads them  POST /reset      forget requests, mails and keys
"""

import asyncio
import json
import socket
import struct
import time
from dataclasses import asdict
from typing import Any

from aiohttp import web

from tests.mock_resend.record import Entry, Record, Remembered
from tests.mock_resend.settings import Behaviour

_REQUIRED = ("from", "to", "subject")


class Mock:
    """One server's state; it belongs to the event loop that serves it."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour, self.record = behaviour, Record()
        self._faults_left: int | None = _times(behaviour)
        self._settings_changed = asyncio.Condition()

    def app(self) -> web.Application:
        app = web.Application(client_max_size=50 * 2**20)
        app.router.add_post("/emails", self._emails)
        app.router.add_get("/domains", self._domains)
        app.router.add_get("/mails", self._mails)
        app.router.add_get("/requests", self._requests)
        app.router.add_get("/stats", self._stats)
        app.router.add_route("*", "/config", self._config)
        app.router.add_post("/reset", self._reset)
        return app

    async def _emails(self, request: web.Request) -> web.StreamResponse:
        record, entry = self.record, Entry(request.headers.get("Idempotency-Key"))
        record.requests.append(entry)
        record.in_flight += 1
        await record.notify()
        try:
            return await self._email(request, record, entry)
        finally:
            record.in_flight -= 1
            await record.notify()

    async def _email(self, request: web.Request, record: Record, entry: Entry) -> web.StreamResponse:
        raw = await request.read()
        refusal = self._unfit(request, raw)
        fault, behaviour = self._fault() if refusal is None else "", self.behaviour
        if refusal is None and fault == "refuse":
            headers = {"retry-after": behaviour.retry_after} if behaviour.retry_after else {}
            refusal = _error(behaviour.status, behaviour.name, behaviour.message, headers)
            if behaviour.echo_key:
                message = f"{behaviour.message} ({request.headers['Authorization']})"
                refusal = _error(behaviour.status, behaviour.name, message, headers)
        if refusal is not None:
            entry.outcome = str(refusal.status)
            return refusal
        if fault in ("reset_before", "hang_before"):
            entry.outcome = fault
            return await _broken(request, fault)
        sent = await self._take(request, json.loads(raw), record, entry)
        if isinstance(sent, web.Response):
            entry.outcome = str(sent.status)
            return sent
        await self._held("after")
        if not fault:
            return web.json_response({"id": sent})
        entry.outcome = fault
        await record.notify()
        return await _spoilt(request, fault, sent, behaviour)

    async def _domains(self, request: web.Request) -> web.Response:
        refusal = self._unknown(request)
        if refusal is not None:
            return refusal
        if self.behaviour.restricted:
            return _error(401, "restricted_api_key", "This API key is restricted to only send emails")
        names = [name for name in self.behaviour.domains.split(",") if name]
        data = [{"id": f"id-{name}", "name": name, "status": "verified", "region": "eu-west-1"} for name in names]
        return web.json_response({"object": "list", "has_more": False, "data": data})

    def _unknown(self, request: web.Request) -> web.Response | None:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not key:
            return _error(401, "missing_api_key", "Missing API key in the authorization header.")
        if key != self.behaviour.api_key:
            message = "API key is invalid"
            if self.behaviour.echo_key:
                message += f" ({request.headers['Authorization']})"
            return _error(403, "invalid_api_key", message)
        return None

    def _unfit(self, request: web.Request, raw: bytes) -> web.Response | None:
        unknown = self._unknown(request)
        if unknown is not None:
            return unknown
        own = request.headers.get("Idempotency-Key")
        if own is not None and not 1 <= len(own) <= 256:
            return _error(400, "invalid_idempotency_key", "The key must be between 1-256 chars.")
        try:
            body = json.loads(raw)
        except ValueError:
            return _error(400, "validation_error", "The body is no JSON.")
        missing = [name for name in _REQUIRED if not isinstance(body, dict) or not body.get(name)]
        if missing or not (body.get("html") or body.get("text")):
            return _error(422, "missing_required_field", f"Missing `{(missing or ['html'])[0]}` field.")
        if any("\n" in body[name] or "\r" in body[name] for name in ("from", "subject")):
            return _error(422, "validation_error", "The `\\n` is not allowed in headers.")
        return None

    async def _take(self, request: web.Request, body: Any, record: Record, entry: Entry) -> str | web.Response:
        """The mail's id, under a known key that of the first mail; or why not."""
        key = entry.key
        known = record.remembered(key, self.behaviour.keys_last_s) if key else None
        if known is not None:
            if known.body != body:
                return _error(409, "invalid_idempotent_request", "The key was used with a different payload.")
            if known.id is None:
                return _error(409, "concurrent_idempotent_requests", "The first request is still in progress.")
            entry.outcome = "repeated"
            return known.id
        remembered = Remembered(body, time.monotonic())
        if key:
            record.keys[key] = remembered
        await asyncio.sleep(self.behaviour.delay_s)
        await self._held("before")
        headers = {name: value for name, value in request.headers.items() if name.lower() != "authorization"}
        taken = remembered.id = record.taken(body, key, headers)
        entry.outcome = "sent"
        await record.notify()
        return taken

    def _fault(self) -> str:
        if self._faults_left == 0:
            return ""
        if self._faults_left is not None and self.behaviour.fault:
            self._faults_left -= 1
        return self.behaviour.fault

    async def _held(self, where: str) -> None:
        async with self._settings_changed:
            await self._settings_changed.wait_for(lambda: self.behaviour.hold != where)

    async def _mails(self, _request: web.Request) -> web.Response:
        return web.json_response(self.record.mails)

    async def _requests(self, _request: web.Request) -> web.Response:
        return web.json_response([asdict(entry) for entry in self.record.requests])

    async def _stats(self, request: web.Request) -> web.Response:
        record, query = self.record, request.query
        wanted = {name: int(query[name]) for name in ("mails", "requests", "in_flight") if name in query}

        def reached() -> bool:
            report = record.report()
            return all(report[name] >= number for name, number in wanted.items())

        done = await record.wait_until(reached, float(query.get("timeout", "10")))
        return web.json_response({**record.report(), "reached": done})

    async def _config(self, request: web.Request) -> web.Response:
        raw = await request.read()
        try:
            self.behaviour = self.behaviour.changed(json.loads(raw) if raw else {})
        except ValueError as error:
            return _error(400, "validation_error", str(error))
        if raw:
            self._faults_left = _times(self.behaviour)
        async with self._settings_changed:
            self._settings_changed.notify_all()
        return web.json_response(self.behaviour.as_json())

    async def _reset(self, _request: web.Request) -> web.Response:
        self.record = Record()
        return web.json_response({})


def _times(behaviour: Behaviour) -> int | None:
    """How many faults are left; None: any number."""
    return behaviour.fault_times or None


async def _broken(request: web.Request, how: str) -> web.Response:
    """Ends the connection without an answer: at once by a reset, or when the client has given up."""
    transport = request.transport
    if how.startswith("hang"):
        while transport is not None and not transport.is_closing():  # noqa: ASYNC110  # nothing else tells a handler
            await asyncio.sleep(0.02)
    elif transport is not None:
        sock = transport.get_extra_info("socket")
        if sock is not None:  # without lingering, closing resets
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=500)  # nobody reads it


async def _spoilt(request: web.Request, fault: str, sent: str, behaviour: Behaviour) -> web.StreamResponse:
    """The answer to a mail that was taken, with something wrong with it."""
    if fault in ("reset_after", "hang_after"):
        return await _broken(request, fault)
    body = json.dumps({"id": sent}).encode()
    if fault == "trickle":
        answer = web.StreamResponse(headers={"content-type": "application/json", "content-length": str(len(body))})
        await answer.prepare(request)
        for at in range(len(body)):
            if request.transport is None or request.transport.is_closing():
                break
            await answer.write(body[at : at + 1])
            await asyncio.sleep(behaviour.trickle_s)
        return answer
    if fault == "web_page":
        return web.Response(text="<html>We are back soon</html>", content_type="text/html")
    raw = body[: len(body) // 2] if fault == "truncated" else behaviour.raw_body.encode()
    return web.Response(body=raw, content_type="application/json")


def _error(status: int, name: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    body = {"statusCode": status, "name": name, "message": message}
    return web.json_response(body, status=status, headers=headers)
