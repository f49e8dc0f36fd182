"""The trends of a batch that was open before this supervisor: filled from the chunks of its log.

A module because the past must look as it would have if nothing had been started again: gaps where
nobody looked or a value was not good, and no more points than each grain has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from controller.core.clock import NS_PER_MS
from controller.hmi.reading import shown_unit
from controller.hmi.trend import GRAINS, Point, Trends
from controller.profile.compile import Profile
from controller.record.process import Block, Stream

Values = npt.NDArray[Any]


class Past:
    """What the chunks of one log say of the tags that have trends."""

    def __init__(self, profile: Profile, names: Sequence[str], log: Path) -> None:
        """`names` are those of the Trends, in their order."""
        self._names = {name: place for place, name in enumerate(names)}
        self._factors = np.array([shown_unit(profile, name)[1] for name in names])
        self._log = log
        self._now = np.full(len(names), np.nan)

    def fill(self, trends: Trends, until_ns: int) -> None:
        """Puts the points before `until_ns` (UTC) into trends that are empty.

        Raises RecordFailure for damage: what was before it is there.
        """
        until_ms = until_ns // NS_PER_MS
        oldest_ms = until_ms - max(grain_s * points for grain_s, points in GRAINS) * 1_000
        slot_ms = -1
        for times, places, values in self._rows():
            slot_ms, at = max(oldest_ms, int(times[0]) if slot_ms < 0 else slot_ms), 0
            while at < len(times):
                ahead = slot_ms >= until_ms  # of the clock: it was set back since
                step_ms = _grain_ms(until_ms - slot_ms)
                end = len(times) if ahead else int(np.searchsorted(times, slot_ms + step_ms))
                missing = places[at:end][np.isnan(values[at:end])]
                self._now[places[at:end]] = values[at:end]
                if not ahead:
                    shown = (self._now / self._factors).astype(np.float32)
                    shown[missing] = np.nan  # it was not good for a part of the slot
                    trends.recall(Point(slot_ms * NS_PER_MS, shown), until_ns)
                    slot_ms += step_ms
                at = end

    def _rows(self) -> Iterator[tuple[Values, Values, Values]]:
        """Times in ms, places and values of the tags that have trends, a block at a time."""
        stream = Stream(self._log, growing=True, writes=False)
        known = np.zeros(0, np.int64)
        for block in stream.blocks():
            if len(known) < len(stream.names.names):
                known = np.array([self._names.get(name, -1) for name in stream.names.names])
            chosen: Block = block[known[block["tag"]] >= 0]
            if len(chosen):
                yield chosen["time_ms"], known[chosen["tag"]], chosen["value"]


def _grain_ms(age_ms: int) -> int:
    """How far apart points of an age are: as in the finest grain that reaches back so far."""
    for grain_s, points in GRAINS:
        if age_ms <= grain_s * points * 1_000:
            return grain_s * 1_000
    return GRAINS[-1][0] * 1_000
