"""One serial line on a pseudo terminal, under a path that outlives it: hang up, come back, same
name.

The path is a symbolic link to the terminal, as udev makes one for an adapter: while the line is
hung up it leads nowhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import os
import time
import tty
from pathlib import Path

from hil_sim.devices.line import Bus, Reply
from hil_sim.devices.witness import Trace

READ_BYTES = 512
EARLY_NS = 1_000_000  # the loop's timer may be a little early


class PtyLine:
    """Replies leave when their last byte is due. Made inside a running event loop."""

    def __init__(self, bus: Bus, path: Path) -> None:
        self.path, self.trace = path, Trace()
        self._bus = bus
        self._master = self._slave = -1
        self._due: list[tuple[int, int, bytes]] = []
        self._count = 0
        self._loop = asyncio.get_running_loop()
        self.open()

    def open(self) -> None:
        """Makes the terminal and its name; nothing if it is there."""
        if self._master >= 0:
            return
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(self._slave))
        self._loop.add_reader(self._master, self._readable)

    def close(self) -> None:
        """Hangs up: who has it open is told so, and its name is gone; nothing if it is closed."""
        if self._master < 0:
            return
        self._loop.remove_reader(self._master)
        self.path.unlink(missing_ok=True)
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1
        self._due.clear()

    def _readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            now_ns = time.monotonic_ns()
            data = os.read(self._master, READ_BYTES)
            self.trace.note(now_ns, data.hex())
            self.say(self._bus.receive(data, now_ns), now_ns)

    def say(self, replies: list[Reply], now_ns: int) -> None:
        """Sends what the device says, each piece when its last byte is due."""
        if self._master < 0:
            return
        for due_ns, reply in replies:
            self._count += 1
            heapq.heappush(self._due, (due_ns, self._count, reply))
            self._loop.call_later(max(due_ns - now_ns, 0) / 1e9, self._send)

    def _send(self) -> None:
        now_ns = time.monotonic_ns() + EARLY_NS
        while self._due and self._due[0][0] <= now_ns:
            _, _, data = heapq.heappop(self._due)
            with contextlib.suppress(BlockingIOError):
                os.write(self._master, data)  # a line nobody reads loses its bytes
