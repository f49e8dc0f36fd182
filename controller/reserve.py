"""The launcher's side of the field in reserve: when there is one, and how it is called.

A reserve (`controller.field.reserve`) may only ever save time. One that is not ready, is dead or
does not answer at once is ended before the cold start: there are never two that could be field.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
from collections.abc import Callable, Sequence

from controller.core.clock import NS_PER_S
from controller.field.reserve import READY, TAKEN

AFTER_NS = 5 * NS_PER_S  # a field shall have the machine to itself while it starts
AGAIN_NS = 10 * NS_PER_S  # between two starts of a reserve, however it ended
ANSWER_MS = 500  # a loaded process answers in a few; one that does not is stopped or stuck


class Reserve:
    """One process that waits to become field, or none."""

    def __init__(self, command: Callable[[], Sequence[str]], say: Callable[[str], None]) -> None:
        self._command, self._say = command, say
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._due_ns = 0
        self._said = ""

    @property
    def pid(self) -> int:
        """The process's number, 0 while there is none."""
        return self._process.pid if self._process is not None else 0

    @property
    def ready(self) -> bool:
        """Whether it has loaded all that field needs."""
        if self._process is not None and not self._ready:
            self._ready = self._heard(0) == READY
        return self._ready

    def keep(self, now_ns: int, field_since_ns: int) -> None:
        """Starts one when field has lived for a while and there is none. Never raises."""
        if self._process is not None:
            status = self._process.poll()
            if status is not None:
                self.end()
                self._once(f"the field in reserve ended with status {status}; the next is started")
        elif now_ns >= max(self._due_ns, field_since_ns + AFTER_NS):
            self._due_ns = now_ns + AGAIN_NS
            try:
                self._process = subprocess.Popen(  # noqa: S603
                    self._command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
                    start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                self._once(f"there is no field in reserve: {error}")

    def take(self, command: Sequence[str]) -> subprocess.Popen[bytes] | None:
        """Hands an order for field over; the process that is field now, None for a cold start."""
        process, ready = self._process, self.ready
        if process is None or not ready or process.stdin is None or process.stdout is None:
            self.end()
            return None
        try:
            process.stdin.write(json.dumps(list(command)).encode() + b"\n")
            taken = self._heard(ANSWER_MS) == TAKEN
        except OSError:
            taken = False
        if not taken:
            self._once("the field in reserve does not answer: field starts cold")
            self.end()
            return None
        process.stdin.close()
        process.stdout.close()
        self._process, self._ready = None, False
        return process

    def end(self) -> None:
        """Ends it at once: it holds nothing that would have to be put in order."""
        process, self._process, self._ready = self._process, None, False
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def _heard(self, timeout_ms: int) -> bytes:
        """The next byte it says within a time; none when it says nothing or is dead."""
        if self._process is None or self._process.stdout is None:
            return b""
        poller, descriptor = select.poll(), self._process.stdout.fileno()
        poller.register(descriptor, select.POLLIN)
        return os.read(descriptor, 1) if poller.poll(timeout_ms) else b""

    def _once(self, text: str) -> None:
        """Says what was not said last: the same again and again would bury the rest."""
        if text != self._said:
            self._said = text
            self._say(text)
