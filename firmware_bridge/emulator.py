"""Runs the I/O board without a board: the Cortex-M3 image in QEMU, or the native process.

Both give a line (what a cable would carry, as a pyserial URL) and a strip (`pins.Strip`). QEMU
picks its ports itself and says them over QMP, so two starts never meet on one. A board dies with
the thread that started it. Time: QEMU's board clock is the host's; with `counted` it counts
instructions instead (32 ns each, a slow Cortex-M3 of 50 MHz) and jumps over idle time, so that
times measured on it say nothing about this machine, and no host in real time keeps up with it.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from controller.core.errors import BadInput, CellwrightError
from firmware_bridge import build
from firmware_bridge.pins import Address, BoardGone, Strip

QEMU: Final = "qemu-system-arm"
START_S: Final = 30.0
"""How long a start may take on a busy machine."""
PATIENCE_S: Final = 0.25
NOISE_AT: Final = 0x2000_4000
"""Two words of the image's RAM that nobody writes (`m3/image.ld`, m3_noise)."""


class StartFailed(CellwrightError):
    """An emulated board did not come up; what it said stands in the message."""


class Lines:
    """The lines a child writes on its standard output, each waited for with a deadline."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        if child.stdout is None:
            raise ValueError("a child without a standard output")
        self._handle, self._held = child.stdout.fileno(), b""

    def next(self, deadline: float) -> bytes:
        """The next whole line, or b"" if none came in time or the child ended."""
        while b"\n" not in self._held:
            left = deadline - time.monotonic()
            if left <= 0.0 or not select.select([self._handle], [], [], left)[0]:
                return b""
            data = os.read(self._handle, 4096)
            if not data:
                return b""
            self._held += data
        line, self._held = self._held.split(b"\n", 1)
        return line


class EmulatedBoard:
    """A running board: `line` is a pyserial URL, `pins` where its strip listens."""

    def __init__(self, command: Sequence[str]) -> None:
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self.process = subprocess.Popen(  # noqa: S603
                [*_dying_with_us(), *command],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._complaints,
            )  # fmt: skip
        except OSError as error:
            self._complaints.close()
            raise StartFailed(str(error), where=command[0]) from error
        self.lines = Lines(self.process)
        self.line = ""
        self.pins: Address = ("", 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def kill(self) -> None:
        """Power off: no last words, no clean-up. Idempotent."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self._complaints):
            if stream is not None:
                stream.close()

    def strip(self) -> Strip:
        """A new connection to its strip; there can be one at a time."""
        return Strip(self.pins)

    def fail(self, why: str) -> StartFailed:
        """Kills it; the error to raise, with what it complained of."""
        self.process.kill()
        self.process.wait()
        self._complaints.seek(0)
        words = self._complaints.read().decode(errors="replace").strip()
        self.kill()
        return StartFailed(f"{why} {words}".strip(), where=self.process.args)


class QemuBoard(EmulatedBoard):
    """The Cortex-M3 image in QEMU; QMP on its standard streams."""

    def ask(self, command: str, deadline: float) -> Any:
        """One QMP command; what it returned (events before the answer are dropped)."""
        if self.process.stdin is None:
            raise ValueError("a child without a standard input")
        try:
            self.process.stdin.write(json.dumps({"execute": command}).encode() + b"\n")
            self.process.stdin.flush()
        except OSError as error:
            raise self.fail("QEMU ended.") from error
        while line := self.lines.next(deadline):
            said = json.loads(line)
            if "return" in said:
                return said["return"]
            if "error" in said:
                raise self.fail(f"QEMU refuses {command}: {said['error']}.")
        raise self.fail(f"QEMU did not answer {command}.")

    def reset(self) -> None:
        """The reset button: RAM stays, and nothing tells the image that it was no watchdog."""
        self.ask("system_reset", time.monotonic() + START_S)

    def _serve(self) -> None:
        deadline = time.monotonic() + START_S
        self.ask("qmp_capabilities", deadline)
        ports: dict[str, int] = {}
        for device in self.ask("query-chardev", deadline):
            if device["label"] in ("serial0", "serial1"):
                ports[device["label"]] = int(device["filename"].split(",")[0].rsplit(":", 1)[1])
        self.line = f"socket://127.0.0.1:{ports['serial0']}"
        self.pins = ("127.0.0.1", ports["serial1"])
        self.ask("cont", deadline)
        while not self._answers():
            if time.monotonic() > deadline:
                raise self.fail("The image does not answer on its strip.")

    def _answers(self) -> bool:
        """Whether the image is up: what comes before it opened its UARTs is lost."""
        try:
            with Strip(self.pins, PATIENCE_S) as strip:
                strip.get()
        except BoardGone:
            return False
        return True


def qemu(image: Path | None = None, *, counted: bool = False, noise: bytes = b"") -> QemuBoard:
    """The image (built now if none is given) from power-up; raises BadInput, StartFailed.

    `noise`: 8 bytes that RAM holds at power-up (random if none), from which the boot id is made.
    """
    if shutil.which(QEMU) is None:
        raise BadInput(f"{QEMU} is missing", do=f"Install it (Debian: apt-get install {QEMU}).")
    serial = "tcp:127.0.0.1:0,server=on,wait=off,nodelay=on"
    noise = noise or os.urandom(8)
    loader = f"loader,addr={NOISE_AT:#x},data={int.from_bytes(noise, 'little'):#x},data-len=8"
    board = QemuBoard([
        QEMU, "-M", "lm3s6965evb", "-display", "none", "-monitor", "none", "-nodefaults", "-S",
        "-serial", serial, "-serial", serial, "-qmp", "stdio", "-device", loader,
        *(("-icount", "shift=5,sleep=off") if counted else ()),
        "-kernel", str(image or build.image()),
    ])  # fmt: skip
    try:
        board._serve()
    except BaseException:
        board.kill()
        raise
    return board


def native(
    program: Path | None = None,
    *,
    line: str = "tcp:0",
    boot_id: int | None = None,
    retained: Path | None = None,
) -> EmulatedBoard:
    """The native process; `line` is `pty`, `tcp:PORT` or, for a port of its choice, `tcp:0`.

    `retained`: the file that stands for RAM which outlives a reset. Raises BadInput, StartFailed.
    """
    command = [str(program or build.process()), "--line", line, "--pins", "tcp:0"]
    if boot_id is not None:
        command += ["--boot-id", str(boot_id)]
    if retained is not None:
        command += ["--retained", str(retained)]
    board = EmulatedBoard(command)
    said = board.lines.next(time.monotonic() + START_S)
    if not said:
        raise board.fail("The native board did not say where it serves.")
    places = json.loads(said)
    board.line = _url(places["line"])
    board.pins = _address(places["pins"])
    return board


def _url(place: str) -> str:
    if place.startswith("tcp:"):
        return f"socket://127.0.0.1:{place.rsplit(':', 1)[1]}"
    return place


def _address(place: str) -> Address:
    if place.startswith("unix:"):
        return Path(place.removeprefix("unix:"))
    return "127.0.0.1", int(place.rsplit(":", 1)[1])


def _dying_with_us() -> list[str]:
    """The command that has a child killed when this thread ends (prctl(2), PR_SET_PDEATHSIG)."""
    return ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
