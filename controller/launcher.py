"""The launcher: starts field and supervisor as programs of their own, and starts either again.

It decides nothing else. It holds no state a crash could lose: who may be running is found in the
lock of the station and the file of its programs' numbers (`adopt`), which batch is open in the
state directory, read before every start of field.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from controller.adopt import Adopted, write_pids
from controller.core.clock import NS_PER_MS, NS_PER_S
from controller.reserve import Reserve

POLL_MS = 200
QUICK_NS = 5 * NS_PER_S  # a program that ends sooner than this after its start waits ever longer
PAUSE_FIRST_NS, PAUSE_MAX_NS = 100 * NS_PER_MS, 5 * NS_PER_S
AGAIN_NS = 10 * NS_PER_S  # within it a second Ctrl-C ends a run whose batch is open
APART_NS = NS_PER_S  # a Ctrl-C sooner than this after the last is the same one: a key held down
END_S = {"supervisor": 2.0, "field": 8.0}  # field brings the liquids to rest first
DONE, DONE_NOT_COMPLETE = 0, 10  # exit statuses of a supervisor whose run has ended
REFUSED = frozenset({1, 2, 3, 4})  # of a program that says why it cannot go on


@dataclass(slots=True)
class Program:
    """One of the two programs: how it is started, and what became of it."""

    name: str
    command: Callable[[], Sequence[str]]
    process: subprocess.Popen[bytes] | Adopted | None = None
    started_ns: int = 0
    starts: int = 0
    pause_ns: int = 0
    due_ns: int = 0
    from_reserve: bool = False
    statuses: list[int] = field(default_factory=list)

    @property
    def pid(self) -> int:
        """The process's number, 0 while it does not run."""
        return self.process.pid if self.process is not None else 0


class Launcher:
    """Keeps the two programs running until the supervisor's run has ended."""

    def __init__(
        self,
        field_command: Callable[[], Sequence[str]],
        supervisor_command: Callable[[], Sequence[str]],
        batch_is_open: Callable[[], bool],
        say: Callable[[str], None],
        pids: Path | None = None,
        living: Mapping[str, Adopted] | None = None,
        reserve_command: Callable[[], Sequence[str]] | None = None,
    ) -> None:
        """Commands are asked for anew at each start: whether a batch is open changes them.

        `pids` is where the programs' numbers are written, `living` what a dead launcher left.
        Without `reserve_command` every start of field is a cold one.
        """
        self.field = Program("field", field_command)
        self.supervisor = Program("supervisor", supervisor_command)
        self.reserve = Reserve(reserve_command, say) if reserve_command is not None else None
        self._batch_is_open, self._say = batch_is_open, say
        self._pids, self._living = pids, dict(living or {})
        self._asked: list[tuple[int, int]] = []
        self._asked_ns = -AGAIN_NS
        self._by = int(signal.SIGTERM)
        self._terminal = _terminal_modes()

    def run(self) -> int:
        """Runs both; the exit status of the whole."""
        signal.signal(signal.SIGINT, self._interrupt)
        signal.signal(signal.SIGTERM, self._interrupt)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a terminal that goes away ends no batch
        try:
            self._adopt()
            return self._keep()
        finally:
            if self.reserve is not None:
                self.reserve.end()
            self._end(self.supervisor, self._by)
            self._end(self.field)
            _restore(self._terminal)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self._asked.append((number, time.monotonic_ns()))

    def _adopt(self) -> None:
        """Takes a living field over. A living supervisor is ended: the terminal is ours now."""
        field_, supervisor = self._living.get("field"), self._living.get("supervisor")
        if field_ is not None:
            self.field.process, self.field.starts = field_, 1
            self.field.started_ns = time.monotonic_ns()
            self._say(f"field runs, its launcher is gone: process {field_.pid} is taken over")
        if supervisor is not None:
            supervisor.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                supervisor.wait(END_S["supervisor"])
            self._say(f"supervisor {supervisor.pid} of that launcher is ended; the next starts")

    def _keep(self) -> int:
        while True:
            now_ns = time.monotonic_ns()
            for program in (self.field, self.supervisor):
                if program.process is None and now_ns >= program.due_ns:
                    self._start(program, now_ns)
            if self.reserve is not None:
                self.reserve.keep(now_ns, self.field.started_ns if self.field.pid else now_ns)
            self._wait()
            while self._asked:
                number, asked_ns = self._asked.pop(0)
                if self._may_stop(number, asked_ns):
                    self._by = number
                    return DONE
            for program in (self.field, self.supervisor):
                status = program.process.poll() if program.process is not None else None
                if status is None:
                    continue
                final = self._ended(program, status, time.monotonic_ns())
                if final >= 0:
                    return final

    def _start(self, program: Program, now_ns: int) -> None:
        command, taken = program.command(), None
        if program is self.field and self.reserve is not None:
            taken = self.reserve.take(command)
        program.from_reserve = taken is not None
        program.process = taken or subprocess.Popen(command, start_new_session=True)  # noqa: S603
        program.started_ns = now_ns
        program.starts += 1
        if self._pids is not None:
            with contextlib.suppress(OSError):  # only a launcher after a killed one misses it
                write_pids(self._pids, {p.name: p.pid for p in (self.field, self.supervisor)})

    def _wait(self) -> None:
        """Until a program ends, a signal comes or it is time to look again."""
        poller = select.poll()
        descriptors = []
        for program in (self.field, self.supervisor):
            with contextlib.suppress(OSError):
                descriptors.append(os.pidfd_open(program.pid) if program.pid else -1)
        for descriptor in descriptors:
            if descriptor >= 0:
                poller.register(descriptor, select.POLLIN)
        now_ns = time.monotonic_ns()
        due = [p.due_ns for p in (self.field, self.supervisor) if p.process is None]
        wait_ns = min([due_ns - now_ns for due_ns in due], default=POLL_MS * NS_PER_MS)
        with contextlib.suppress(InterruptedError):
            poller.poll(min(max(wait_ns // NS_PER_MS, 1), POLL_MS))
        for descriptor in descriptors:
            if descriptor >= 0:
                os.close(descriptor)

    def _may_stop(self, number: int, now_ns: int) -> bool:
        """A Ctrl-C with a batch open is asked twice: the cells depend on field."""
        if number == signal.SIGTERM or not self._batch_is_open():
            return True
        before_ns, self._asked_ns = self._asked_ns, now_ns
        if now_ns - before_ns < AGAIN_NS:
            return now_ns - before_ns >= APART_NS
        self._say(
            "A batch is open: its cells need heat, stirring and gas from this program. Ctrl-C "
            f"again within {AGAIN_NS // NS_PER_S} s ends it: liquids are shut, the devices keep "
            "what they were told last."
        )
        return False

    def _ended(self, program: Program, status: int, now_ns: int) -> int:
        """What follows from a program's end: the final exit status, or -1 to go on."""
        program.process = None
        program.statuses.append(status)
        if program is self.supervisor and status in (DONE, DONE_NOT_COMPLETE):
            return DONE if status == DONE else 1
        if status in REFUSED and not self._batch_is_open() and (
            program is self.supervisor or program.starts == 1
        ):
            return status
        lived_ns = now_ns - program.started_ns
        longer = min(max(2 * program.pause_ns, PAUSE_FIRST_NS), PAUSE_MAX_NS)
        # One called from the reserve is followed at once: it must cost no more than a cold start.
        program.pause_ns = longer if lived_ns < QUICK_NS and not program.from_reserve else 0
        program.due_ns = now_ns + program.pause_ns
        self._say(f"{program.name} ended ({_words(status)}) and is started again")
        return -1

    def _end(self, program: Program, number: int = signal.SIGTERM) -> None:
        """Ends a program: asked first, by what asked us, then killed."""
        process = program.process
        if process is None:
            return
        program.process = None
        if isinstance(process, Adopted):
            process.terminate()
        else:
            process.send_signal(number)
        try:
            process.wait(END_S[program.name])
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _words(status: int) -> str:
    if status >= 0:
        return f"status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


def _terminal_modes() -> list[object] | None:
    """How the terminal stands: a supervisor that is killed leaves it in its own mode."""
    try:
        return termios.tcgetattr(sys.stdin.fileno())
    except (termios.error, OSError, ValueError):
        return None


def _restore(modes: list[object] | None) -> None:
    if modes is not None:
        with contextlib.suppress(termios.error, OSError, ValueError):
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, modes)  # type: ignore[arg-type]
