"""The live side of an I/O board's line: a line of bytes, and what the kernel shows the board.

What the kernel released is taken before what it shows: the flags are never older than the values
they were released with.
"""

from __future__ import annotations

from controller.field.links.bridge import BridgeLink
from controller.field.links.serial_worker import SerialWorker
from controller.field.links.worker import Duty


class BridgeWorker(SerialWorker):
    """Serves one BridgeLink on `pty:/dev/..`, `/dev/..` or `socket://host:port`."""

    def __init__(self, name: str, url: str, link: BridgeLink, duty: Duty) -> None:
        super().__init__(name, url, link, duty)
        self._board, self._view = link, duty.view(name)

    def _exchange(self) -> None:
        """Released values in, then what the kernel shows the board; notes out."""
        super()._exchange()
        duty = self._duty
        self._board.attend(self._view, duty.progress(), duty.now_ns())
