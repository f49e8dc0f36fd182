"""Batch time: what timers of a batch count in, on over restarts of program and machine."""

from __future__ import annotations

from dataclasses import dataclass

from controller.core.clock import NS_PER_MS, Stamp


@dataclass(frozen=True, slots=True)
class BatchClock:
    """Batch time in ns since the batch's first record: `mono_ns + base_ns` within one boot."""

    boot_id: str = ""
    base_ns: int = 0
    last_ns: int = 0
    last_utc_ms: int = 0

    def at(self, boot_id: str, mono_ns: int, utc_ms: int) -> int:
        """The batch time of an instant; over a change of boot the wall clock carries it."""
        if boot_id == self.boot_id:
            return mono_ns + self.base_ns
        if not self.boot_id:
            return 0
        return self.last_ns + max(0, utc_ms - self.last_utc_ms) * NS_PER_MS

    def of(self, stamp: Stamp) -> int:
        """The batch time of a stamp."""
        return self.at(stamp.boot_id, stamp.mono_ns, stamp.utc_ns // NS_PER_MS)
