"""What all devices on a serial line have in common: pacing by baud, framing by an end mark, line
faults.

A device answers after its turnaround, at the speed of the line; a reply is handed over whole, due
at the end of its last byte. Time is passed in; nothing here is random.
"""

from __future__ import annotations

from typing import Protocol

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
BUFFER_MAX = 256
Reply = tuple[int, bytes]


class PlantPort(Protocol):
    """What devices need of a plant: read a channel by name, drive an actuator by name."""

    def measure(self, channel: str) -> float:
        """The reading of one channel now."""
        ...

    def command(self, **values: float) -> None:
        """Sets what the devices drive the plant with."""
        ...


class Bus:
    """One line. `faulty` switches the slow path on; see `disturb`."""

    def __init__(self, baud: int, bits: int, turnaround_ms: float) -> None:
        self._byte_ns = NS_PER_S * bits // baud
        self._turnaround_ns = round(turnaround_ms * NS_PER_MS)
        self._buffer = b""
        self._faulty = False
        self._silent: frozenset[str] | None = frozenset()
        self._late_ns = self._late_left = self._sent_ns = 0
        self._garble_every = self._rubbish = 0
        self._crossed = False
        self._before = b""
        self._replies = 0

    def disturb(
        self, *, silent: frozenset[str] | None = frozenset(), late_ms: float = 0.0,
        late_replies: int = 0, garble_every: int = 0, rubbish: int = 0, crossed: bool = False,
    ) -> None:  # fmt: skip
        """Sets the faults of the line; without arguments it is healthy.

        `silent` holds addresses that do not answer, None is all. Replies come `late_ms` later: the
        next `late_replies` of them, 0 is all. Every `garble_every`-th has one byte flipped. Each
        has `rubbish` bytes of noise before it. `crossed`: each is that to the request before.
        """
        self._silent, self._late_ns = silent, round(late_ms * NS_PER_MS)
        self._late_left, self._garble_every = late_replies, garble_every
        self._rubbish, self._crossed, self._before = rubbish, crossed, b""
        self._faulty = (
            silent != frozenset() or late_ms > 0 or garble_every > 0 or rubbish > 0 or crossed
        )

    def receive(self, data: bytes, now_ns: int) -> list[Reply]:
        """Bytes from the host; the replies with the time at which their last byte is there."""
        raise NotImplementedError

    def _reply(self, address: str, reply: bytes, request_bytes: int, now_ns: int) -> list[Reply]:
        due_ns = now_ns + self._turnaround_ns + (request_bytes + len(reply)) * self._byte_ns
        if self._faulty:
            return self._disturbed(address, reply, due_ns)
        return [(due_ns, reply)]

    def _hears(self, address: str) -> bool:
        return not self._faulty or (self._silent is not None and address not in self._silent)

    def _disturbed(self, address: str, reply: bytes, due_ns: int) -> list[Reply]:
        if not self._hears(address):
            return []
        self._replies += 1
        if self._crossed:
            reply, self._before = self._before, reply
            if not reply:
                return []
        if self._garble_every and self._replies % self._garble_every == 0:
            at = self._replies % len(reply)
            reply = reply[:at] + bytes([reply[at] ^ 0x15]) + reply[at + 1 :]
        if self._rubbish:
            reply = noise(self._replies, self._rubbish) + reply
        due_ns += self._late_ns
        if self._late_left > 0:
            self._late_left -= 1
            if self._late_left == 0:
                self._late_ns = 0
        # A device does one thing after the other: no reply overtakes a late one.
        self._sent_ns = max(due_ns, self._sent_ns)
        return [(self._sent_ns, reply)]


def noise(seed: int, count: int) -> bytes:
    """`count` bytes of any value, the same for the same seed (linear congruence of Numerical
    Recipes, 3rd ed., section 7.1)."""
    value, found = seed, bytearray()
    for _ in range(count):
        value = (value * 1_664_525 + 1_013_904_223) & 0xFFFF_FFFF
        found.append(value >> 24)
    return bytes(found)


class TextBus(Bus):
    """A line on which a request ends with a carriage return (and perhaps a line feed)."""

    def receive(self, data: bytes, now_ns: int) -> list[Reply]:
        """Bytes from the host; a request may come in pieces or several at once."""
        if self._buffer or data.count(b"\r") != 1 or not data.endswith((b"\r", b"\r\n")):
            return self._collect(data, now_ns)
        return self.request(data.strip(b"\r\n"), len(data), now_ns)

    def _collect(self, data: bytes, now_ns: int) -> list[Reply]:
        *lines, rest = (self._buffer + data).split(b"\r")
        self._buffer = rest[-BUFFER_MAX:].lstrip(b"\n")
        replies: list[Reply] = []
        for line in lines:
            replies += self.request(line.strip(b"\n"), len(line) + 1, now_ns)
        return replies

    def request(self, line: bytes, sent_bytes: int, now_ns: int) -> list[Reply]:
        """One whole request without its end mark."""
        raise NotImplementedError


def number(text: str) -> float | None:
    """A plain decimal number, or None."""
    body = text.removeprefix("+").removeprefix("-")
    if not body.replace(".", "", 1).isdigit() or len(body) > 12:
        return None
    return float(text)
