"""A line in virtual time that spoils, doubles, delays, reorders and cuts what is put onto it."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field

BYTE_NS = 10 * 1_000_000_000 // 115_200


@dataclass
class Faults:
    """Probabilities for a bit, for a burst; `delay_ns` is the longest extra delay of a burst."""

    bit: float = 0.0
    double: float = 0.0
    late: float = 0.0
    delay_ns: int = 0
    cut: bool = False


@dataclass
class FaultyLine:
    """One direction. What was late comes behind what was sent after it: that is the reordering."""

    faults: Faults
    random: random.Random
    _free_ns: int = 0
    _count: int = 0
    _queue: list[tuple[int, int, bytes]] = field(default_factory=list)

    def put(self, data: bytes, now_ns: int) -> None:
        """A burst of bytes; it has arrived when its last bit has."""
        if not data or self.faults.cut:
            return
        self._free_ns = max(self._free_ns, now_ns) + len(data) * BYTE_NS
        copies = 1 + (self.random.random() < self.faults.double)
        for _ in range(copies):
            late = self.random.random() < self.faults.late
            extra = self.random.randrange(self.faults.delay_ns) if late else 0
            self._count += 1
            heapq.heappush(self._queue, (self._free_ns + extra, self._count, self._spoiled(data)))

    def take(self, now_ns: int) -> bytes:
        """What has arrived until now."""
        out = b""
        while self._queue and self._queue[0][0] <= now_ns:
            out += heapq.heappop(self._queue)[2]
        return out

    def next_ns(self) -> int:
        """When the next burst arrives."""
        return self._queue[0][0] if self._queue else 1 << 62

    def _spoiled(self, data: bytes) -> bytes:
        if self.faults.bit <= 0.0:
            return data
        out, bits = bytearray(data), 8 * len(data)
        at = -1
        while True:
            at += 1 + int(self.random.expovariate(self.faults.bit))
            if at >= bits:
                return bytes(out)
            out[at // 8] ^= 1 << at % 8
