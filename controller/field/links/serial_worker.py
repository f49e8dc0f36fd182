"""The live side of a serial link: pyserial opens the port, the worker reads and writes its
descriptor.

pyserial's own reads are some ten times slower than the descriptor, and a hang-up shows in four
ways (SerialException, OSError, termios.error, an empty read): all are one LineDown here.
"""

from __future__ import annotations

import os
import select
import termios
from typing import Any, Protocol

import serial

from controller.core.clock import NS_PER_MS
from controller.field.links.worker import Duty, LineDown, Machine, Worker
from controller.profile.link_plan import LinkPlan

READ_BYTES = 512
IDLE_MS_MAX = 200
_PARITY = {"N": serial.PARITY_NONE, "E": serial.PARITY_EVEN, "O": serial.PARITY_ODD}


class LineMachine(Machine, Protocol):
    """A machine of bytes: SerialLink and BridgeLink."""

    plan: LinkPlan

    def take_tx(self, now_ns: int) -> bytes:
        """The bytes to put onto the line now, or none."""
        ...

    def feed(self, data: bytes, now_ns: int) -> None:
        """Takes bytes from the line."""
        ...

    def next_ns(self) -> int:
        """When `take_tx` has something to do again if no byte comes before."""
        ...


class SerialWorker(Worker):
    """Serves one line of bytes on `pty:/dev/..`, `/dev/..` or `socket://host:port`."""

    def __init__(self, name: str, url: str, link: LineMachine, duty: Duty) -> None:
        super().__init__(name, url, link, duty)
        self._link = link

    def _session(self) -> None:
        port = self._open()
        try:
            self._link.reset(self._duty.now_ns())
            self._serve(port.fileno())
        except (serial.SerialException, OSError, termios.error) as error:
            raise LineDown(f"{self.url}: {error}") from error
        finally:
            self._close(port)

    def _open(self) -> Any:
        plan, url = self._link.plan, self.url.removeprefix("pty:")
        extra = {} if "://" in url else {"exclusive": True}
        try:
            port = serial.serial_for_url(
                url, baudrate=plan.baud, bytesize=int(plan.format[0]),
                parity=_PARITY[plan.format[1]], stopbits=int(plan.format[2]), timeout=0, **extra,
            )  # fmt: skip
            os.set_blocking(port.fileno(), False)
        except (serial.SerialException, OSError, termios.error, ValueError) as error:
            raise LineDown(f"cannot open {self.url}: {error}") from error
        return port

    def _serve(self, fd: int) -> None:
        link, duty = self._link, self._duty
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        poller.register(self.wake_fd, select.POLLIN)
        while not self._stopping.is_set():
            self._exchange()
            now_ns = duty.now_ns()
            tx = link.take_tx(now_ns)
            if tx:
                self._put(fd, tx)
            wait_ms = (link.next_ns() - now_ns + NS_PER_MS - 1) // NS_PER_MS
            for ready, event in poller.poll(min(max(wait_ms, 0), IDLE_MS_MAX)):
                if ready == self.wake_fd:
                    self._drain_wake()
                elif event & select.POLLIN:
                    data = os.read(fd, READ_BYTES)
                    if not data:
                        raise LineDown(f"{self.url}: the other end closed")
                    self._served = True
                    link.feed(data, duty.now_ns())
                else:
                    raise LineDown(f"{self.url}: hung up")

    def _put(self, fd: int, data: bytes) -> None:
        """Writes a request. It is at most 257 bytes: a port that cannot take it is stuck."""
        try:
            written = os.write(fd, data)
        except BlockingIOError:
            written = 0
        if written != len(data):
            raise LineDown(f"{self.url}: the port takes no more bytes")

    def _close(self, port: Any) -> None:
        try:
            port.close()
        except (serial.SerialException, OSError, termios.error):
            return  # it is gone already
