"""What the owner of an armed session asks for, and which of it leaves next.

Order: safe commands, the beat when due, resets, clears, commands, events. Each queue is bounded by
what a board has: the latest wish of a channel, one mark for a row, one mask.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

from controller.core.errors import BrokenInvariant
from firmware_bridge import messages as m
from firmware_bridge.codes import CAUSES_MAX, CHANNELS_MAX, GIVEN_MAX, WRITES_MAX
from firmware_bridge.happenings import Sample
from firmware_bridge.layout import Wire

NS_PER_MS: Final = 1_000_000
PROBE_NS: Final = 2_000 * NS_PER_MS


class Outbox:
    """The requests of one armed session; a new session begins with a new one."""

    def __init__(self, beat_ns: int, now_ns: int) -> None:
        self._beat_ns = beat_ns
        self.beat_due_ns = now_ns
        self._probe_due_ns = now_ns + PROBE_NS
        self._writes: dict[int, tuple[m.Write, bool]] = {}
        self._beat: tuple[int, int, tuple[Sample, ...]] | None = None
        self._resets: dict[int, None] = {}
        self._clears = 0

    def command(self, writes: Mapping[int, tuple[int, int]], safe: bool) -> None:
        """Wishes (value, lease_ms) by channel; the latest of a channel wins."""
        if any(not 0 <= channel < CHANNELS_MAX for channel in writes):
            raise BrokenInvariant("a channel that no board has", where="firmware_bridge.outbox")
        for channel, (value, lease_ms) in writes.items():
            self._writes[channel] = (m.Write(channel, value, lease_ms), safe)

    def again(self, request: m.Command, refused: int) -> None:
        """One channel's refusal may not keep another one, the contactor say, from its value.

        The others leave again, first, unless something newer is asked of them.
        """
        left = [write for write in request.writes if write.channel != refused]
        if len(left) < len(request.writes):
            for write in left:
                self._writes.setdefault(write.channel, (write, True))

    def beat(self, progress: int, bypassed: int, signals: Iterable[Sample]) -> None:
        """What the next beat says; without it none leaves."""
        given = tuple(signals)
        if len(given) > GIVEN_MAX:
            raise BrokenInvariant("more signals than a beat holds", where="firmware_bridge.outbox")
        self._beat = (progress & 0xFFFFFFFF, bypassed, given)

    def reset(self, row: int) -> None:
        """Reset one row."""
        if not 0 <= row < CAUSES_MAX:
            raise BrokenInvariant("a row that no board has", where="firmware_bridge.outbox")
        self._resets[row] = None

    def clear(self, mask: int) -> None:
        """Unlatch channels."""
        self._clears |= mask

    def choose(self, now_ns: int, next_event: int, events_wait: bool) -> Wire | None:
        """Takes out what leaves now, if anything."""
        if any(safe for _, safe in self._writes.values()):
            return self._take_writes(only_safe=True)
        if self._beat is not None and now_ns >= self.beat_due_ns:
            self.beat_due_ns = now_ns + self._beat_ns
            (progress, bypassed, samples), self._beat = self._beat, None
            return m.Beat(progress, bypassed, tuple(_given(each, now_ns) for each in samples))
        if self._resets:
            row = next(iter(self._resets))
            del self._resets[row]
            return m.Reset(row)
        if self._clears:
            mask, self._clears = self._clears, 0
            return m.Clear(mask)
        if self._writes:
            return self._take_writes(only_safe=False)
        if events_wait or now_ns >= self._probe_due_ns:
            # Short as it is, it gives the clock a short round trip, so one leaves now and then.
            self._probe_due_ns = now_ns + PROBE_NS
            return m.Events(next_event)
        return None

    def next_ns(self, ready_ns: int, events_wait: bool) -> int:
        """When `choose` has something to do again if nothing is asked before."""
        if self._writes or self._resets or self._clears or events_wait:
            return ready_ns
        return max(ready_ns, min(self.beat_due_ns, self._probe_due_ns))

    def _take_writes(self, *, only_safe: bool) -> m.Command:
        chosen = [write for write, safe in self._writes.values() if safe or not only_safe]
        for write in chosen[:WRITES_MAX]:
            del self._writes[write.channel]
        return m.Command(tuple(chosen[:WRITES_MAX]))


def _given(sample: Sample, now_ns: int) -> m.Given:
    """A sample with its age in ms, rounded up; 65535 is that or more."""
    age_ms = -((sample.sample_ns - now_ns) // NS_PER_MS)
    value = sample.value if math.isfinite(sample.value) else math.nan
    return m.Given(sample.signal, sample.quality, sample.reason, min(max(age_ms, 0), 65_535), value)
