"""The first bytes of a start: rendered at `check`, sent before anything that can fail is loaded.

One thread a line, plain descriptors, no library. A line that is not there, hangs or does not answer
costs its own frames and at most `BUDGET_NS`; nothing is raised. Answers are read and thrown away:
the links ask every device again.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import termios
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from controller.core.clock import NS_PER_MS, NS_PER_S
from controller.profile.frames import FirstFrame, FirstLine

BUDGET_NS = 350 * NS_PER_MS  # of one line, all frames and answers
JOIN_NS = 20 * NS_PER_MS  # a thread that ends in time needs no longer
ANSWER_BYTES_MAX = 512
_SIZE = {"7": termios.CS7, "8": termios.CS8}
_PARITY = {"N": 0, "E": termios.PARENB, "O": termios.PARENB | termios.PARODD}
_STOP = {"1": 0, "2": termios.CSTOPB}


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one line. Times on the caller's clock, -1 for never; `why` empty: all well."""

    sent: int
    of: int
    answered: int
    first_ns: int
    end_ns: int
    why: str


def send(
    urls: Mapping[str, str], lines: Mapping[str, FirstLine], clock_ns: Callable[[], int]
) -> dict[str, Report]:
    """Sends every line its frames, all lines at once; returns after < 0.4 s, whatever happens.

    `urls` are those of the links file: `/dev/..`, `pty:/dev/..`, `socket://host:port`. The ports
    are closed again, but one whose thread hangs in the system (`why` says so).
    """
    started_ns = clock_ns()
    talks = {name: _Talk(urls.get(name, ""), line, clock_ns) for name, line in lines.items()}
    threads = []
    for name, talk in talks.items():
        thread = threading.Thread(target=talk.run, name=f"first-{name}", daemon=True)
        thread.start()
        threads.append(thread)
    for thread in threads:
        left_ns = started_ns + BUDGET_NS + JOIN_NS - clock_ns()
        thread.join(max(left_ns, 0) / NS_PER_S)
    return {name: talk.report(clock_ns()) for name, talk in talks.items()}


class _Talk:
    """One line while it is told. Its thread writes the fields, `send` reads them at the end."""

    def __init__(self, url: str, line: FirstLine, clock_ns: Callable[[], int]) -> None:
        self._url, self._line, self._clock_ns = url, line, clock_ns
        self._sent = self._answered = 0
        self._first_ns = self._end_ns = -1
        self._why = ""

    def report(self, now_ns: int) -> Report:
        """What is known now; a thread that is still running hangs in its port."""
        end_ns, why = self._end_ns, self._why
        if end_ns < 0:
            end_ns, why = now_ns, f"{self._url} hangs: given up"
        of = len(self._line.frames)
        return Report(self._sent, of, self._answered, self._first_ns, end_ns, why)

    def run(self) -> None:
        """Opens the port, says everything, closes it."""
        end_ns = self._clock_ns() + BUDGET_NS
        try:
            if self._line.frames:
                self._say(end_ns)
        except Exception as error:  # nothing may stand in the way of the start
            self._why = f"{self._url or 'no address'}: {error}"
        if not self._why and self._sent < len(self._line.frames):
            self._why = f"{self._url}: {BUDGET_NS // NS_PER_MS} ms are over"
        if not self._why and self._answered < self._expected:
            silent = self._expected - self._answered
            self._why = f"{self._url}: {silent} of {self._expected} frames not answered"
        self._end_ns = self._clock_ns()

    @property
    def _expected(self) -> int:
        return sum(1 for frame in self._line.frames if frame.until)

    def _say(self, end_ns: int) -> None:
        if self._url.startswith("socket://"):
            host, _, port = self._url.removeprefix("socket://").partition("/")[0].rpartition(":")
            with socket.create_connection((host, int(port)), BUDGET_NS / NS_PER_S) as peer:
                peer.setblocking(False)
                self._frames(peer.fileno(), end_ns)
            return
        fd = os.open(self._url.removeprefix("pty:"), os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            _claim(fd)
            _set(fd, self._line)
            termios.tcflush(fd, termios.TCIFLUSH)
            self._frames(fd, end_ns)
        except BaseException:
            _forget(fd)  # closing a port with bytes that cannot leave would wait for them
            raise
        finally:
            os.close(fd)

    def _frames(self, fd: int, end_ns: int) -> None:
        """Every frame gets its share of what is left, so that one silent device costs no other."""
        todo = len(self._line.frames)
        for at, frame in enumerate(self._line.frames):
            now_ns = self._clock_ns()
            if now_ns >= end_ns:
                return
            share_ns = (end_ns - now_ns) // (todo - at) - frame.gap_ns
            self._one(fd, frame, now_ns + max(min(frame.wait_ns, share_ns), NS_PER_MS))

    def _one(self, fd: int, frame: FirstFrame, end_ns: int) -> None:
        rest = frame.frame
        while rest:
            try:
                rest = rest[os.write(fd, rest) :]
            except BlockingIOError:
                self._wait(fd, select.POLLOUT, end_ns)
                if self._clock_ns() >= end_ns:
                    raise TimeoutError("the port takes no more bytes") from None
            if self._first_ns < 0 and len(rest) < len(frame.frame):
                self._first_ns = self._clock_ns()
        self._sent += 1
        answer = b""
        while frame.until not in answer[frame.skip :] or not frame.until:
            answer = (answer + self._read(fd, end_ns))[:ANSWER_BYTES_MAX]
            if self._clock_ns() >= end_ns:
                break
        else:
            self._answered += 1
        quiet_ns = self._clock_ns() + frame.gap_ns
        while self._clock_ns() < quiet_ns:
            self._read(fd, quiet_ns)

    def _read(self, fd: int, end_ns: int) -> bytes:
        """Bytes as soon as there are some; none when the time is over."""
        if not self._wait(fd, select.POLLIN, end_ns):
            return b""
        try:
            data = os.read(fd, ANSWER_BYTES_MAX)
        except BlockingIOError:
            return b""
        if not data:
            raise ConnectionError("the other end closed")
        return data

    def _wait(self, fd: int, what: int, end_ns: int) -> bool:
        poller = select.poll()
        poller.register(fd, what)
        left_ns = max(end_ns - self._clock_ns(), 0)
        return bool(poller.poll(-(-left_ns // NS_PER_MS)))


def _claim(fd: int) -> None:
    """Takes the lock that pyserial takes too; raises when another program has it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConnectionError("another program has the port open") from None


def _set(fd: int, line: FirstLine) -> None:
    """Raw, with the line's speed and format, no flow control; raises for what it cannot be."""
    speed = getattr(termios, f"B{line.baud}", None)
    if speed is None:
        raise ValueError(f"{line.baud} baud is no standard speed")
    _, _, control, _, _, _, chars = termios.tcgetattr(fd)
    # Without HUPCL the modem lines stay up until the link opens the port: no glitch between.
    kept = control & ~(termios.CSIZE | termios.PARENB | termios.PARODD | termios.CSTOPB
                       | termios.HUPCL | termios.CRTSCTS)  # fmt: skip
    shape = _SIZE[line.format[0]] | _PARITY[line.format[1]] | _STOP[line.format[2]]
    control = kept | shape | termios.CREAD | termios.CLOCAL
    chars[termios.VMIN], chars[termios.VTIME] = 1, 0
    termios.tcsetattr(fd, termios.TCSANOW, [0, 0, control, 0, speed, speed, chars])


def _forget(fd: int) -> None:
    try:
        termios.tcflush(fd, termios.TCIOFLUSH)
    except (OSError, termios.error):
        return  # it is gone already
