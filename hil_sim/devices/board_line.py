"""The line between host and I/O board: bytes both ways at any time, and what a bad cable does.

A module of its own because the board in virtual time and the board in another process hang on the
same cable, with the same faults. The board speaks unasked: its bytes are no replies to a request.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from hil_sim.devices.line import Bus, Reply, noise

BAUD: Final = 115_200
BITS: Final = 10  # 8N1
ADDRESS: Final = "board"
DRIFT_PPM: Final = 20  # of the board's crystal against the host's clock [assumed]


class BoardBus(Bus):
    """115,200 baud 8N1, both directions at once. `carry` takes bytes to the board's side."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__(BAUD, BITS, 0.0)
        self._rng = np.random.default_rng([seed, 0xB0A2D])
        self._bit_error = 0.0
        self._clean_bits = 0
        self._pieces = 0

    def spoil(self, bit_error: float) -> None:
        """From now on this share of the bits arrives wrong, each by itself; 0 is a good cable."""
        self._bit_error = bit_error
        self._clean_bits = self._gap()

    def receive(self, data: bytes, now_ns: int) -> list[Reply]:
        """Bytes from the host go to the board; what it says comes by `said`."""
        self.carry(self._through(data), now_ns + len(data) * self._byte_ns + self._extra_ns())
        return []

    def carry(self, data: bytes, at_ns: int) -> None:
        """Bytes that arrive at the board then; a cut cable carries none."""
        raise NotImplementedError

    def said(self, data: bytes, now_ns: int) -> list[Reply]:
        """Bytes the board sends from now on, with the time at which the last of them is there."""
        through = self._through(data)
        if not through:
            return []
        due_ns = now_ns + len(data) * self._byte_ns + self._extra_ns()
        self._sent_ns = max(due_ns, self._sent_ns)  # one byte after the other
        return [(self._sent_ns, through)]

    def _extra_ns(self) -> int:
        return self._late_ns if self._faulty else 0

    def _through(self, data: bytes) -> bytes:
        """What is left of bytes on their way, in either direction."""
        if not self._hears(ADDRESS):
            return b""
        self._pieces += 1
        if self._faulty and self._garble_every and self._pieces % self._garble_every == 0:
            at = self._pieces % len(data)
            data = data[:at] + bytes([data[at] ^ 0x15]) + data[at + 1 :]
        if self._faulty and self._rubbish:
            data = noise(self._pieces, self._rubbish) + data
        return self._flipped(data) if self._bit_error > 0.0 else data

    def _flipped(self, data: bytes) -> bytes:
        found, bits = bytearray(data), 8 * len(data)
        at = self._clean_bits
        while at < bits:
            found[at // 8] ^= 1 << at % 8
            at += 1 + self._gap()
        self._clean_bits = at - bits
        return bytes(found)

    def _gap(self) -> int:
        """Good bits until the next wrong one."""
        if self._bit_error <= 0.0:
            return 1 << 62
        share = min(self._bit_error, 0.5)
        return int(math.log(1.0 - float(self._rng.random())) / math.log1p(-share))


class Board(BoardBus):
    """An I/O board and its cable, whatever plays it (io_board, served_board)."""

    def cut_power(self, now_ns: int) -> None:
        """Nothing drives and nothing answers any more."""
        raise NotImplementedError

    def power_up(self, now_ns: int, *, unknown: bool = False) -> None:
        """It starts as from the shelf; `unknown`: with another firmware."""
        raise NotImplementedError

    def watchdog(self, now_ns: int) -> None:
        """Its watchdog has run out: it starts anew, with what survives a reset."""
        raise NotImplementedError
