"""When a log that failed may be opened again: once the disk takes something, and not too often.

A module because nothing is tried on the log itself: a file of its own shows whether the disk is
back. Then this supervisor ends, and the next one reads and checks the logs anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from controller.core.clock import NS_PER_S, Stamp
from controller.record.state import StateDir

TRY_NS = 5 * NS_PER_S
YOUNG_NS = 60 * NS_PER_S  # a log that failed so soon after it was opened is given a rest


class Mending:
    """Watches the disk of one state directory while its logs are down."""

    def __init__(self, state: StateDir, began_ns: int, save: Callable[[], None]) -> None:
        """`began_ns` is when the logs were opened, on the monotonic clock. `save` is called once
        the disk is back; it may raise OSError."""
        self._state, self._began_ns, self._save = state, began_ns, save
        self._failed_ns = self._tried_ns = -1
        self._probe: threading.Thread | None = None
        self._room = False

    def done(self, failed: str, stamp: Stamp) -> bool:
        """Whether the logs, which are down if `failed` says why, may be opened again."""
        if not failed:
            return False
        if self._failed_ns < 0:
            self._failed_ns = self._tried_ns = stamp.mono_ns
        young = self._failed_ns - self._began_ns < YOUNG_NS
        wait_ns = YOUNG_NS if young else TRY_NS
        probing = self._probe is not None and self._probe.is_alive()
        if not probing and stamp.mono_ns - self._tried_ns >= wait_ns:
            self._tried_ns = stamp.mono_ns
            self._probe = threading.Thread(target=self._try, name="log-probe", daemon=True)
            self._probe.start()
        return self._room

    def _try(self) -> None:
        if self._state.has_room():
            with suppress(OSError):  # then it is in memory only, as it was
                self._save()
            self._room = True
