"""The feed: each snapshot is encoded once, and every client gets the delta or the whole of it.

Lives in the server's thread. A client that has the snapshot before gets what changed; one that
was still taking an older one skips what came in between and then gets the whole. When nothing new
was produced for a second, a beat with the same number tells that the link lives and the producer
does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

from controller.hmi.limits import BEAT_S, CLIENTS_MAX, SEND_S, SESSION_CHECK_S, SESSION_FEEDS_MAX

BY_NAME = ("tags", "links", "loops", "outputs", "orders", "procedure")
Data = dict[str, Any]


def encode(data: Data) -> str:
    """The text of one message; raises ValueError for a number JSON does not have."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False)


def delta(old: Data, new: Data) -> Data:
    """What changed: `{"type": "delta", "base": number, "seq": number, ...}`.

    Of the keys in BY_NAME only the entries that changed (None: gone), of every other the whole.
    """
    found: Data = {"type": "delta", "base": old["seq"]}
    for key, value in new.items():
        before = old.get(key)
        if value == before:
            continue
        if key in BY_NAME and isinstance(before, dict):
            part = {name: item for name, item in value.items() if before.get(name) != item}
            part |= {name: None for name in before if name not in value}
            found[key] = part
        else:
            found[key] = value
    return found


class Client:
    """One browser at the feed, and how far it is."""

    def __init__(
        self, send: Callable[[str], Awaitable[None]], may_stay: Callable[[], bool],
        session: str = "",
    ) -> None:  # fmt: skip
        """`send` waits while the client takes nothing; `may_stay` says whether its session
        still stands."""
        self.send, self.may_stay, self.session = send, may_stay, session
        self.news = asyncio.Event()
        self.sent_seq = -1
        self.bytes = 0
        self.skipped = 0


class Feed:
    """The latest snapshot and everybody who watches."""

    def __init__(self) -> None:
        self.clients: set[Client] = set()
        self._latest: Data = {}
        self._seq = -1
        self._delta_base = -1
        self._delta_text = ""
        self._full_text = ""

    @property
    def full(self) -> bool:
        """Whether one more client is too many."""
        return len(self.clients) >= CLIENTS_MAX

    def full_for(self, session: str) -> bool:
        """Whether one more client of this session is too many: others want to watch too."""
        own = sum(client.session == session for client in self.clients)
        return own >= SESSION_FEEDS_MAX

    def publish(self, snapshot: Data) -> None:
        """Takes a newer snapshot; encodes what changed once for everybody."""
        if self._latest and self.clients:
            self._delta_text = encode(delta(self._latest, snapshot))
            self._delta_base = self._seq
        else:
            self._delta_base = -1
        self._latest, self._full_text = snapshot, ""
        self._seq = int(snapshot["seq"])
        for client in self.clients:
            client.news.set()

    async def serve(self, client: Client) -> None:
        """Sends to one client until its session ends or it takes nothing any more."""
        loop = asyncio.get_running_loop()
        self.clients.add(client)
        checked = loop.time()
        try:
            while True:
                text = self._next(client)
                await asyncio.wait_for(client.send(text), SEND_S)
                client.bytes += len(text)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(BEAT_S):
                        await client.news.wait()
                if loop.time() - checked >= SESSION_CHECK_S:
                    checked = loop.time()
                    if not client.may_stay():
                        return
        finally:
            self.clients.discard(client)

    def _next(self, client: Client) -> str:
        """What this client is to get now."""
        client.news.clear()
        before, client.sent_seq = client.sent_seq, self._seq
        if before == self._seq:
            return encode({"type": "beat", "seq": self._seq})
        if before == self._delta_base and before >= 0:
            return self._delta_text
        client.skipped += before >= 0
        if not self._full_text:
            self._full_text = encode({"type": "full", **self._latest})
        return self._full_text
