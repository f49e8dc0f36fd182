"""Whether the clocks went as clocks go, from one sync of a log to the next.

A module because a record's order is its number, and its times are evidence only as long as a step
of the wall clock is in the log beside them.
"""

from __future__ import annotations

from pathlib import Path

from controller.core.clock import NS_PER_S, Stamp
from controller.core.errors import BrokenInvariant

CLOCK_STEP_NS = NS_PER_S  # [assumed] a smaller shift between two syncs is the clock's discipline


class ClockWatch:
    """The last stamp of one log; `utc_ns` is the wall clock of its last record when opened."""

    def __init__(self, directory: Path, utc_ns: int) -> None:
        self._directory, self._utc_ns = directory, utc_ns
        self._seen: Stamp | None = None

    def is_past(self, stamp: Stamp) -> bool:
        """Whether a stamp was taken before the last one seen: another thread was quicker."""
        seen = self._seen
        return seen is not None and seen.boot_id == stamp.boot_id and stamp.mono_ns < seen.mono_ns

    def step_ns(self, stamp: Stamp) -> int:
        """By how much the wall clock stepped since the last stamp; 0 for less than a second.

        Raises BrokenInvariant, and changes nothing, if `mono_ns` went back.
        """
        seen, shift = self._seen, 0
        if seen is not None and seen.boot_id == stamp.boot_id:
            if self.is_past(stamp):
                raise BrokenInvariant(
                    f"the monotonic clock went back from {seen.mono_ns} to {stamp.mono_ns} ns",
                    where=self._directory,
                    means="The order of records cannot be trusted. Nothing was written.",
                )
            shift = (stamp.utc_ns - seen.utc_ns) - (stamp.boottime_ns - seen.boottime_ns)
        elif stamp.utc_ns < self._utc_ns:
            shift = stamp.utc_ns - self._utc_ns
        self._seen, self._utc_ns = stamp, stamp.utc_ns
        return shift if abs(shift) >= CLOCK_STEP_NS else 0
