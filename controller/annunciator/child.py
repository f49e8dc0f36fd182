"""The programs themselves: the annunciator behind two threads, and the call-out command.

A module because starting, writing to and waiting for another program may block for ever; here only
threads of their own do. A killed supervisor leaves them at the end of their input: they must end.
"""

from __future__ import annotations

import os
import queue
import select
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

LINES_MAX: Final = 64
LINE_BYTES_MAX: Final = 400
CHUNK_BYTES: Final = 4096
LOOK_MS: Final = 200
CALLS_MAX: Final = 16
CALL_S_MAX: Final = 60.0


class Child:
    """One run of an annunciator program. Nothing here blocks its caller."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.lines: deque[str] = deque(maxlen=LINES_MAX)
        self.ended = ""  # how, once it has
        self._argv = list(argv)
        self._out: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False
        threading.Thread(target=self._run, name="annunciator", daemon=True).start()

    def send(self, line: bytes) -> None:
        """Queues a line."""
        self._out.put(line)

    def kill(self) -> None:
        """Ends it, with whatever it started."""
        self._killed = True
        self._out.put(None)
        process = self._process
        if process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)

    def _run(self) -> None:
        try:
            process = self._process = subprocess.Popen(  # noqa: S603
                self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            self.ended = f"it cannot be started: {error.strerror}"
            return
        if self._killed:  # before there was anything to kill
            self.kill()
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()
        with suppress(OSError):  # its end is told by the listening thread
            while (line := self._out.get()) is not None:
                os.write(process.stdin.fileno(), line)  # type: ignore[union-attr]
        with suppress(OSError):
            process.stdin.close()  # type: ignore[union-attr]

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        """Until it ends or is killed: what it started may hold its output open for ever."""
        out, rest = process.stdout, b""
        assert out is not None  # noqa: S101
        ready = select.poll()
        ready.register(out, select.POLLIN)
        while not self._killed:
            if not ready.poll(LOOK_MS):
                if process.poll() is not None:
                    break
                continue
            chunk = os.read(out.fileno(), CHUNK_BYTES)
            rest = self._take(rest + chunk, at_end=not chunk)
            if not chunk:
                break
        out.close()
        status = process.wait()
        self._out.put(None)
        what = f"signal {-status}" if status < 0 else f"exit status {status}"
        self.ended = f"it ended with {what}"

    def _take(self, text: bytes, at_end: bool) -> bytes:
        """Its lines, a long one in pieces; what is not a line yet is left."""
        while text:
            end = text.find(b"\n", 0, LINE_BYTES_MAX) + 1 or min(len(text), LINE_BYTES_MAX)
            if not at_end and end < LINE_BYTES_MAX and text[end - 1 : end] != b"\n":
                break
            self.lines.append(text[:end].decode("utf-8", "replace"))
            text = text[end:]
        return text


@dataclass(frozen=True, slots=True)
class Called:
    """What became of one call. `exit_code` is -1 where the command did not end by itself."""

    alarm: str
    number: int
    exit_code: int
    why: str


class CallOut:
    """The call-out command, one call at a time, its text on its standard input."""

    def __init__(self, argv: Sequence[str], limit_s: float = CALL_S_MAX) -> None:
        self.done: deque[Called] = deque(maxlen=LINES_MAX)
        self._argv, self._limit_s = list(argv), limit_s
        self._waiting: queue.Queue[tuple[str, int, bytes]] = queue.Queue(CALLS_MAX)
        threading.Thread(target=self._run, name="call-out", daemon=True).start()

    def call(self, alarm: str, number: int, text: bytes) -> None:
        """Queues a call; one too many is said to have failed."""
        try:
            self._waiting.put_nowait((alarm, number, text))
        except queue.Full:
            self.done.append(Called(alarm, number, -1, f"{CALLS_MAX} calls wait already"))

    def _run(self) -> None:
        while True:
            alarm, number, text = self._waiting.get()
            code, why = self._once(text)
            self.done.append(Called(alarm, number, code, why))

    def _once(self, text: bytes) -> tuple[int, str]:
        try:
            with subprocess.Popen(  # noqa: S603
                self._argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                start_new_session=True,
            ) as process:  # fmt: skip
                try:
                    process.communicate(text, self._limit_s)
                except subprocess.TimeoutExpired:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    return -1, f"it did not end in {self._limit_s:g} s"
                code = process.returncode
        except OSError as error:
            return -1, f"it cannot be started: {error.strerror}"
        return code, "" if code == 0 else f"exit status {code}"
