"""What stands before every route: whose page asks, how much is sent, what an answer may do.

A page of another origin may neither ask nor be given anything, a name that is not this station's
(DNS rebinding) is refused, a body is limited before it is read, and no answer can be framed,
sniffed, cached or run a script that is not ours.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from controller.hmi.limits import BODY_BYTES_MAX, BODY_S

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
CSP = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)
MARK = b"x-cellwright"


class _TooLong(Exception):
    """More came than a body may have."""


class Guard:
    """Wraps an application."""

    def __init__(self, app: App, host: str, tls: bool) -> None:
        self._app, self._scheme = app, "https" if tls else "http"
        self._names = {"localhost", host.lower(), socket.gethostname().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        refused = self._refused(scope, headers)
        if scope["type"] == "websocket":
            if refused:
                await receive()
                await send({"type": "websocket.close", "code": 4403, "reason": refused})
                return
            await self._app(scope, receive, send)
            return
        send = _with_headers(send, scope["path"].startswith("/api/"))
        if refused:
            await _answer(send, 403, "forbidden", refused)
            return
        try:
            body = await asyncio.wait_for(_body(receive, headers), BODY_S)
        except _TooLong:
            why = f"more than {BODY_BYTES_MAX} bytes were sent"
            await _answer(send, 413, "bad_input", why)
        except TimeoutError:
            await _answer(send, 408, "bad_input", "what was asked did not come to its end")
        else:
            if body and not _json(body):
                await _answer(send, 422, "bad_input", "what was sent is not JSON")
                return
            await self._app(scope, _again(body, receive), send)

    def _refused(self, scope: Scope, headers: dict[bytes, bytes]) -> str:
        host = headers.get(b"host", b"").decode("latin-1")
        if not self._own(host):
            return "this is not an address of this station"
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and origin.lower() != f"{self._scheme}://{host}".lower():
            return "a page of another origin may not ask"
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            if headers.get(MARK) != b"1":
                return "the header X-Cellwright is missing"
            if headers.get(b"sec-fetch-site", b"same-origin") not in (b"same-origin", b"none"):
                return "a page of another site may not ask"
        return ""

    def _own(self, host: str) -> bool:
        """A number, or a name that is known to be ours: a number cannot be rebound."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


async def _body(receive: Receive, headers: dict[bytes, bytes]) -> bytes:
    """The whole body; raises _TooLong as soon as it is known to be more than one may have."""
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or int(length) > BODY_BYTES_MAX:
        raise _TooLong
    parts, count = [], 0
    while True:
        message = await receive()
        part = message.get("body", b"")
        count += len(part)
        if count > BODY_BYTES_MAX:
            raise _TooLong
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _json(body: bytes) -> bool:
    """Whether it is JSON at all, and not nested without end."""
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def _again(body: bytes, receive: Receive) -> Receive:
    """Gives the application the body that was read before it."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _with_headers(send: Send, private: bool) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            extra = [*HEADERS]
            if private:
                extra.append((b"cache-control", b"no-store"))
            message["headers"] = [*message.get("headers", []), *extra]
        await send(message)

    return with_headers


async def _answer(send: Send, status: int, kind: str, why: str) -> None:
    body = json.dumps({"accepted": False, "kind": kind, "why": why}).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close"),
               (b"content-length", str(len(body)).encode())]  # fmt: skip
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
