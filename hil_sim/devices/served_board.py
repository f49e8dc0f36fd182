"""Our I/O board at wall speed: the native process or the image in QEMU, its terminals on a plant.

A module because the board is a program of its own here, with a line and a strip of terminals of its
own: this side carries bytes between that line and the host's, and pins between strip and plant.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from firmware_bridge import build, emulator
from firmware_bridge.pins import BoardGone, Strip
from hil_sim.devices.board_line import Board
from hil_sim.devices.terminals import Pins, Terminals

KINDS: Final = ("native", "qemu")
MARKER: Final = b"CELLWRIGHT-IMAGE"
READ_BYTES: Final = 4_096
OFF: Final = (0, 0)


class ServedBoard(Board):
    """One emulated board. `watch` is told of its line's socket, and of its end with None.

    Raises BoardGone for an unknown kind, BadInput for one that cannot be had here, StartFailed when
    it does not start.
    """

    def __init__(self, terminals: Terminals, kind: str, seed: int = 1) -> None:
        super().__init__(seed)
        if kind not in KINDS:
            raise BoardGone(f"no board {kind!r}; known: {', '.join(KINDS)}")
        self._terminals, self._kind, self._boots = terminals, kind, seed * 1_000
        self._folder = Path(tempfile.mkdtemp(prefix="cellwright-board-"))
        self._retained = self._folder / "retained"
        self._program: Path | None = None  # another than what was built here
        self._emulated: emulator.EmulatedBoard | None = None
        self._strip: Strip | None = None
        self._shown: Pins | None = None
        self.line: socket.socket | None = None
        self.watch: Callable[[socket.socket | None], None] = lambda line: None
        self.power_up(0)

    # -- its machine ------------------------------------------------------------------------------

    def power_up(self, now_ns: int, *, unknown: bool = False) -> None:
        """See Board: what its memory held is gone."""
        self.cut_power(now_ns)
        self._retained.unlink(missing_ok=True)
        self._program = self._stranger() if unknown else None
        self._start()

    def watchdog(self, now_ns: int) -> None:  # noqa: ARG002
        """See Board. In QEMU it hangs with interrupts masked until its own watchdog resets it."""
        if self._emulated is None or self._strip is None:
            return
        if self._kind == "qemu":
            self._strip.hang()
            return
        self._drop()
        self._start()

    def cut_power(self, now_ns: int) -> None:  # noqa: ARG002
        """See Board."""
        self._drop()
        self._terminals.drive(*OFF)

    def _start(self) -> None:
        self._boots += 1
        if self._kind == "qemu":
            self._emulated = emulator.qemu(self._program)
        else:
            self._emulated = emulator.native(
                self._program, boot_id=self._boots, retained=self._retained
            )
        address = self._emulated.line.rsplit("/", 1)[1].split(":")
        self.line = socket.create_connection((address[0], int(address[1])))
        self.line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.line.setblocking(False)
        self._strip = self._emulated.strip()
        self._shown = None
        self.look()
        self.watch(self.line)

    def _drop(self) -> None:
        if self.line is not None:
            self.watch(None)
            self.line.close()
        if self._strip is not None:
            self._strip.close()
        if self._emulated is not None:
            self._emulated.kill()
        self.line = self._strip = self._emulated = None

    def _stranger(self) -> Path:
        """The same program under another digest: a firmware nobody here built."""
        known = build.image() if self._kind == "qemu" else build.process()
        data = bytearray(known.read_bytes())
        at = data.index(MARKER) + len(MARKER)
        data[at] ^= 0xFF
        path = self._folder / f"stranger{known.suffix}"
        path.write_bytes(bytes(data))
        path.chmod(0o700)
        return path

    def close(self) -> None:
        """Ends the program and forgets its memory."""
        self._drop()
        shutil.rmtree(self._folder, ignore_errors=True)

    # -- bytes and pins ---------------------------------------------------------------------------

    def carry(self, data: bytes, at_ns: int) -> None:  # noqa: ARG002
        """See BoardBus; the wall's time passes by itself."""
        if data and self.line is not None:
            with contextlib.suppress(BlockingIOError, ConnectionError):
                self.line.sendall(data)

    def heard(self) -> list[tuple[int, bytes]]:
        """What the board said and the cable carried since the last call."""
        if self.line is None:
            return []
        with contextlib.suppress(BlockingIOError, ConnectionError):
            data = self.line.recv(READ_BYTES)
            return self.said(data, time.monotonic_ns()) if data else []
        return []

    def look(self) -> None:
        """Pins as the plant has them now, coils as the board drives them now."""
        if self._strip is None:
            return
        with contextlib.suppress(BoardGone):
            pins = self._terminals.read()
            if pins != self._shown:
                self._shown = pins
                self._strip.set(pins.analog, pins.digital)
            self._strip.outs()
            out = self._strip.get()
            self._terminals.drive(out.digital, out.pwm)
