"""Proof of life for whoever watches this process: systemd's datagrams, a watchdog device.

Both are fed by `feed` alone, which is called only after the loop and the links made progress. A
watchdog fed by its own thread would prove that the interpreter lives, not that the loop does.
Protocol: sd_notify(3); Documentation/watchdog/watchdog-api.rst of the Linux kernel.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path


class Watchdogs:
    """The watchdogs of one process; those that are not there are left out."""

    def __init__(self, notify: str = "", device: Path | None = None) -> None:
        """`notify` is the value of NOTIFY_SOCKET; `device` is opened, and armed by that."""
        self._address = "\0" + notify[1:] if notify.startswith("@") else notify
        self._socket: socket.socket | None = None
        self._device = -1
        self.refused = ""
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        if device is not None:
            try:
                self._device = os.open(device, os.O_WRONLY | os.O_CLOEXEC)
            except OSError as error:
                self.refused = f"{device}: {error.strerror}"

    def say(self, text: str) -> None:
        """Tells the service manager `READY=1`, `STATUS=...`; a manager that is gone is no error."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.sendto(text.encode(), self._address)

    def feed(self) -> None:
        """Loop and links made progress."""
        self.say("WATCHDOG=1")
        if self._device >= 0:
            with contextlib.suppress(OSError):
                os.write(self._device, b"\0")

    def close(self) -> None:
        """An orderly end: the watchdog device is disarmed by its magic character."""
        if self._device >= 0:
            with contextlib.suppress(OSError):
                os.write(self._device, b"V")
            os.close(self._device)
            self._device = -1
