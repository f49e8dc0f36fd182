"""The connections of one server: how many, how long one may say nothing, which one makes room.

A module because it decides whether a stranger who opens connections can keep others from Hold: who
only waits is ended for who comes, oldest first, and nobody is turned away for a number alone.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from controller.hmi.limits import (
    ADDRESS_LINES_MAX,
    HEAD_S,
    LINES_MAX,
    LOCAL_LINES_MAX,
    REQUEST_S,
    REST_S,
)

Peer = tuple[str, int]


@dataclass(slots=True)
class _Line:
    """`waits`: no whole head of a request is there. `until_s`: it ends then; -1 = it stays."""

    connection: socket.socket
    waits: bool
    until_s: float


class Lines:
    """Every open connection, oldest first. In the server's thread only."""

    def __init__(self, wall: Callable[[], float]) -> None:
        """`wall` reads a monotonic clock in s."""
        self._wall = wall
        self._all: dict[Peer, _Line] = {}

    def __len__(self) -> int:
        return len(self._all)

    def came(self, peer: Peer, connection: socket.socket) -> bool:
        """A new connection; False: there is no room, and nobody who only waits."""
        limit = LOCAL_LINES_MAX if _local(peer[0]) else ADDRESS_LINES_MAX
        own = [each for each in self._all if each[0] == peer[0]]
        if len(own) >= limit and not self._make_room(own):
            return False
        if len(self._all) >= LINES_MAX and not self._make_room(self._all):
            return False
        self._all[peer] = _Line(connection, True, self._wall() + HEAD_S)
        return True

    def begins(self, peer: Peer) -> None:
        """A head has begun and is not whole: the time it may take runs from its first part."""
        line = self._all.get(peer)
        if line is not None:
            now = self._wall()
            line.waits, line.until_s = True, min(line.until_s, now + HEAD_S)

    def asks(self, peer: Peer) -> None:
        """A whole head is there; from now on an answer is made and taken."""
        self._set(peer, False, REQUEST_S)

    def rests(self, peer: Peer) -> None:
        """It was answered and may ask again."""
        self._set(peer, True, REST_S)

    def stays(self, peer: Peer) -> None:
        """It became a feed, which has limits of its own."""
        self._set(peer, False, None)

    def gone(self, peer: Peer, connection: socket.socket) -> None:
        """It was closed."""
        line = self._all.get(peer)
        if line is not None and line.connection is connection:
            del self._all[peer]

    def end_late(self) -> None:
        """Ends what has had its time."""
        now = self._wall()
        for peer, line in list(self._all.items()):
            if 0 <= line.until_s < now:
                self._end(peer)

    def _set(self, peer: Peer, waits: bool, seconds: float | None) -> None:
        line = self._all.get(peer)
        if line is not None:
            line.waits = waits
            line.until_s = -1.0 if seconds is None else self._wall() + seconds

    def _make_room(self, among: Iterable[Peer]) -> bool:
        oldest = next((peer for peer in among if self._all[peer].waits), None)
        if oldest is None:
            return False
        self._end(oldest)
        return True

    def _end(self, peer: Peer) -> None:
        line = self._all.pop(peer)
        try:
            line.connection.shutdown(socket.SHUT_RDWR)  # its reader finds the end and closes it
        except OSError:
            return  # it is closed already


class Listener(socket.socket):
    """A listening socket that gives only connections there is room for."""

    lines: Lines | None = None

    def accept(self) -> tuple[socket.socket, Any]:
        """As `socket.accept`; who finds no room is closed at once."""
        while True:
            found, address = super().accept()
            if self.lines is None:
                return found, address
            connection = _Connection(
                found.family, found.type, found.proto, fileno=found.detach()
            )
            connection.peer, connection.lines = peer_of(address), self.lines
            if self.lines.came(connection.peer, connection):
                return connection, address
            connection.close()


class _Connection(socket.socket):
    """One connection, which says when it is closed."""

    peer: Peer = ("", 0)
    lines: Lines | None = None

    def close(self) -> None:
        if self.lines is not None:
            self.lines.gone(self.peer, self)
        super().close()


def peer_of(address: Any) -> Peer:
    """Host and port of a peer, of either family."""
    return str(address[0]), int(address[1])


def _local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
