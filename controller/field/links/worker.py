"""A live link: one thread that moves bytes for one machine, and never takes the process with it.

What a worker needs from the field is a `Duty`; what it does at the end of a failure is always the
same: signals bad, a note, a pause, a new start. Serial and OPC UA differ only in `_session`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

from controller.core.clock import NS_PER_MS
from controller.field.links.note import Note

PAUSE_FIRST_NS = 200 * NS_PER_MS
PAUSE_MAX_NS = 2_000 * NS_PER_MS
PRIORITY = 40  # of the real-time class: below the scan loop's, above all that only computes
Released = tuple[int, float, bool]  # output, canonical value, safe
Known = tuple[float, int, int, int]  # value, quality, reason, sample_ns


class Duty(Protocol):
    """What the field gives its workers. Called from the workers' threads; must not block."""

    def now_ns(self) -> int:
        """The monotonic clock."""
        ...

    def released(self, link: str) -> Iterable[Released]:
        """Output values the gate released for this link since the last call, oldest first."""
        ...

    def progress(self) -> int:
        """A count that moves only while the scan does; it becomes the host beat."""
        ...

    def noted(self, link: str, notes: list[Note]) -> None:
        """Takes what the link has to say."""
        ...

    def view(self, link: str) -> View:
        """What the kernel shows an I/O board; one a link, made anew at each call."""
        ...


class View(Protocol):
    """What the kernel shows an I/O board (`controller.field.host_view`)."""

    def refresh(self) -> bool:
        """Takes the latest whole scan; False if there is none."""
        ...

    def given(self, signals: Sequence[int]) -> list[Known]:
        """Signals of the kernel."""
        ...

    def resets(self, causes: Sequence[int]) -> list[int]:
        """How often each cause was reset."""
        ...

    def latched(self, causes: Sequence[int]) -> int:
        """Which of the causes are latched, a bit each."""
        ...

    def bypassed(self, causes: Sequence[int]) -> int:
        """Which of the causes are bypassed, a bit each."""
        ...

    def annunciate(self, now_ns: int) -> int:
        """The annunciator's level, per mille."""
        ...


class Machine(Protocol):
    """What all links have in common."""

    last_good_ns: int

    def write(self, output: int, value: float, safe: bool, now_ns: int) -> None:
        """Takes the latest value of an output."""
        ...

    def take_notes(self) -> list[Note]:
        """All notes since the last call."""
        ...

    def reset(self, now_ns: int) -> None:
        """The line was opened anew."""
        ...

    def line_down(self, why: str, now_ns: int, *, driver_failed: bool = False) -> None:
        """The line, or our own driver, is gone."""
        ...


class LineDown(Exception):
    """The port, the peer or the session is gone: an expected kind of failure."""


class Worker:
    """One link's thread. `wake`, or a write to the eventfd `wake_fd`, makes it look for released
    outputs at once; `turns` grows as long as it lives."""

    def __init__(self, name: str, url: str, machine: Machine, duty: Duty) -> None:
        self.name, self.url, self.restarts, self.turns = name, url, 0, 0
        self._machine, self._duty = machine, duty
        self.wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._stopping = threading.Event()
        self._served = False
        self._thread = threading.Thread(target=self._live, name=f"link-{name}", daemon=True)

    def start(self) -> None:
        """Starts the thread; returns at once, whether the device is there or not."""
        self._thread.start()

    def wake(self) -> None:
        """Outputs were released; safe from any thread."""
        try:
            os.eventfd_write(self.wake_fd, 1)
        except (BlockingIOError, OSError):
            return  # a full counter wakes it just as well; a closed one has nothing left to wake

    def stop(self, timeout_s: float = 3.0) -> bool:
        """Ends the thread; False when it did not end in time."""
        self._stopping.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        if self._thread.is_alive():
            return False
        os.close(self.wake_fd)
        return True

    def urge(self, priority: int = PRIORITY) -> str:
        """Puts the thread into the real-time class; "" or why not. Call it after `start`.

        A safe write waits for this thread, and beside programs that only compute the machine lets
        an ordinary thread wait for milliseconds. What the thread starts itself stays ordinary.
        """
        if self._thread.native_id is None or len(os.sched_getaffinity(0)) < 2:
            return "one CPU only: it must not be taken by a link"
        policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
        try:
            os.sched_setscheduler(self._thread.native_id, policy, os.sched_param(priority))
        except OSError as error:
            return f"SCHED_FIFO: {error.strerror}"
        return ""

    @property
    def last_good_ns(self) -> int:
        """When the link last gave a valid answer."""
        return self._machine.last_good_ns

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def _live(self) -> None:
        pause_ns = PAUSE_FIRST_NS
        while not self._stopping.is_set():
            self._served = False
            try:
                self._session()
            except LineDown as error:
                self._machine.line_down(str(error)[:200], self._duty.now_ns())
            except Exception as error:  # whatever it is, it must cost this link only
                self.restarts += 1
                now_ns = self._duty.now_ns()
                what = f"the driver failed and is restarted: {type(error).__name__}: {error}"
                self._attempt(partial(self._machine.line_down, what[:200], now_ns,
                                      driver_failed=True))  # fmt: skip
                self._attempt(partial(self._machine.reset, now_ns))
            pause_ns = PAUSE_FIRST_NS if self._served else min(2 * pause_ns, PAUSE_MAX_NS)
            self._attempt(self._exchange)
            self._stopping.wait(pause_ns / 1e9)

    def _attempt(self, step: Callable[[], None]) -> None:
        """Runs one step of the clean-up; what failed once may fail again, and is counted."""
        try:
            step()
        except Exception:  # the next start tries again; the count shows it
            self.restarts += 1

    def _exchange(self) -> None:
        """Released values in, notes out."""
        duty, machine = self._duty, self._machine
        self.turns += 1
        now_ns = duty.now_ns()
        for output, value, safe in duty.released(self.name):
            machine.write(output, value, safe, now_ns)
        notes = machine.take_notes()
        if notes:
            duty.noted(self.name, notes)

    def _drain_wake(self) -> None:
        try:
            os.eventfd_read(self.wake_fd)
        except BlockingIOError:
            return

    def _session(self) -> None:
        """Opens the line and serves it until it is gone (LineDown) or the worker is stopped."""
        raise NotImplementedError
