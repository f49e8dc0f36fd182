"""What an I/O board is given of the image: signals, resets, latches, bypasses, the horn's level.

One copy of whole scans, taken under the sequence lock: a reset and the latch it took off are never
seen apart, and a flag never without what was released in its scan. A module because the rig and a
live link must show a board exactly the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from controller.core.clock import NS_PER_S
from controller.field import ring
from controller.field.image import Image, snapshot_of
from controller.profile.plan import Plan

SUPERVISOR_SILENT_NS = 10 * NS_PER_S
SOUNDING = 1000  # per mille: everything the annunciator has
Given = tuple[float, int, int, int]  # value, quality, reason, sample_ns


class HostView:
    """A copy of the image for one board. Not thread-safe: its link's worker alone uses it."""

    def __init__(self, plan: Plan, image: Image) -> None:
        self._live = image.head
        self._image, self._copy, self._words = snapshot_of(plan, image)
        self._spare = np.zeros_like(self._copy)
        guards = (int(plan.unit[0]["guard_flag"]), int(plan.unit[0]["restarted_flag"]))
        self._open = [flag for flag in guards if flag >= 0]
        self._copy[:] = self._words

    def refresh(self) -> bool:
        """Takes the latest whole scan; False, and what it had is kept, if field stands in one."""
        if not ring.copy_locked(self._live, self._words, self._spare):
            return False
        self._copy[:] = self._spare
        return True

    def given(self, signals: Iterable[int]) -> list[Given]:
        """Value, quality, reason and sample time of these signals of the kernel."""
        rows = self._image.signals
        found = []
        for signal in signals:
            quality, reason, sample_ns, _, _, value = rows[signal].item()
            found.append((value, quality, reason, sample_ns))
        return found

    def resets(self, causes: Iterable[int]) -> list[int]:
        """How often each cause was reset since this field began."""
        counts = self._image.causes["resets"]
        return [int(counts[cause]) for cause in causes]

    def latched(self, causes: Sequence[int]) -> int:
        """Bit n: the n-th of these causes is latched in the kernel."""
        latched = self._image.causes["latched"]
        return sum(int(latched[cause] != 0) << place for place, cause in enumerate(causes))

    def bypassed(self, causes: Sequence[int]) -> int:
        """Bit n: the n-th of these causes is bypassed now."""
        until = self._image.causes["bypass_until_ns"]
        now_ns = int(self._image.head["now_ns"][0])
        return sum(int(until[cause] > now_ns) << place for place, cause in enumerate(causes))

    def annunciate(self, now_ns: int) -> int:
        """Per mille. A supervisor that is silent with a batch open cannot say what stands: then it
        sounds."""
        head = self._image.head[0]
        silent = now_ns - int(head["supervisor_beat_ns"]) > SUPERVISOR_SILENT_NS
        if silent and any(self._image.signals["value"][flag] > 0.5 for flag in self._open):
            return SOUNDING
        return max(0, min(int(head["annunciate"]), SOUNDING))
