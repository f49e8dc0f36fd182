"""A witness over HTTP: four routes, limits before anything is read, one answer after another.

Plain ASGI, because four routes need no framework. Its answers are public and signed, so it asks
nobody who they are; what it may cost is bounded here and by the connections' limits of `hmi`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from controller.witness.witness import Reply, Witness

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
BODY_BYTES_MAX = 24 * 1024  # 63 proof lines and the longest note
BODY_S = 5.0
CHECKPOINT = "/checkpoint/"
_TOO_MUCH = Reply(413, b"the body is too long\n", "a body that is too long")
_TOO_SLOW = Reply(408, b"the body did not come to its end\n", "a body without end")
_NO_SUCH = Reply(404, b"there is no such page\n", "no such page")
_NOT_SO = Reply(405, b"this is not asked so\n", "wrong method")


class App:
    """The routes of one witness."""

    def __init__(self, witness: Witness, said: Callable[[str], None]) -> None:
        """`said` takes one line an answer that concerns a log."""
        self._witness, self._said = witness, said

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        method, path = scope["method"], scope["path"]
        if method in ("GET", "HEAD"):
            reply = self._shown(path)
        elif method != "POST":
            reply = _NOT_SO
        elif path not in ("/add-checkpoint", "/add-log"):
            reply = _NO_SUCH
        else:
            reply = await self._asked(path, scope, receive)
            self._said(f"{reply.status} {ascii(reply.words)[1:-1]}")
        headers = [(b"content-type", reply.kind.encode()), (b"cache-control", b"no-store"),
                   (b"content-length", str(len(reply.body)).encode()),
                   (b"x-content-type-options", b"nosniff")]  # fmt: skip
        if reply.status in (408, 413):
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        body = b"" if method == "HEAD" else reply.body
        await send({"type": "http.response.body", "body": body})

    def _shown(self, path: str) -> Reply:
        if path == "/vkey":
            return self._witness.vkey()
        if path.startswith(CHECKPOINT):
            return self._witness.last(path.removeprefix(CHECKPOINT))
        return _NO_SUCH

    async def _asked(self, path: str, scope: Scope, receive: Receive) -> Reply:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 9 or int(length) > BODY_BYTES_MAX:
            return _TOO_MUCH
        try:
            body = await asyncio.wait_for(_body(receive), BODY_S)
        except TimeoutError:
            return _TOO_SLOW
        if body is None:
            return _TOO_MUCH
        if path == "/add-log":
            return self._witness.add_log(body)
        return self._witness.add_checkpoint(body)


async def _body(receive: Receive) -> bytes | None:
    """The whole body, None as soon as it is known to be too long."""
    parts, count = [], 0
    while True:
        message = await receive()
        part = message.get("body", b"")
        count += len(part)
        if count > BODY_BYTES_MAX:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)
