"""Which values of the image the process history keeps: those that moved, and why others did not.

A value is kept when it left its band around the last one kept, when its quality or reason changed,
and every ten minutes. A module because it decides what the past of a batch is made of: the bands,
and that what nobody looked at is a gap (`Cover.joined`), never a line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from controller.core.clock import NS_PER_MS, NS_PER_S, Stamp
from controller.core.quantity import decimal_text, ucum
from controller.field.image import Image
from controller.field.moved import KEPT, MEMORY, STATE, keep_moved
from controller.profile.compile import Profile
from controller.profile.plan import SignalKind
from controller.record.tags import ROW, TAGS_MAX, Cover, encode

HEARTBEAT_NS = 600 * NS_PER_S  # [assumed] a reader looks back no further to know a value
JOINED_NS = 2_500_000_000  # between two looks: ticks come every second
CLOCK_NS = 500 * NS_PER_MS  # a wall clock that shifted by more begins a new chunk
ROWS_WAITING = 32_768  # half of it: a chunk is due before its time; all: a gap begins

# Canonical unit -> band, and the share of the tag's range it is at most. [assumed] Three to five
# times the noise of usual sensors of the kind: a batch at rest must keep next to nothing.
BANDS: Final[dict[str, tuple[float, float]]] = {
    "degC": (0.05, 1.0),
    "K": (0.05, 1.0),
    "kPa": (0.05, 1.0),
    "mL/min": (1.0, 1 / 500),
    "g/min": (0.5, 1 / 500),
    "L": (0.01, 1.0),
    "g": (1.0, 1.0),
    "%": (0.5, 1.0),
    "pH": (0.01, 1.0),
    "rpm": (1.0, 1.0),
    "s": (2.0, 1.0),  # ages of links: only silence moves so far
    "mM": (0.1, 1.0),
    "1e6/mL": (0.05, 1.0),
    "1e6": (1.0, 1 / 500),
    "VVD": (0.02, 1.0),
    "pL/cell/d": (1.0, 1.0),
    "W": (1.0, 1 / 500),
    "1": (0.01, 1.0),
}
BAND_SHARE = 1 / 500  # of its range, for a unit that is not in the table
ENDLESS = 1e6  # a wider range says nothing

Column = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """What one look kept: rows of dtype KEPT, and the beginning of the part they belong to.

    `joined` False: nobody looked since the last one, and these are all tags.
    """

    begin: Stamp
    joined: bool
    rows: Column


def bands_of(profile: Profile) -> Column:
    """The band of every signal, in its canonical unit.

    0, so that every change is kept, for flags and for setpoints that only people and recipes move.
    """
    plan = profile.plan
    ranges = {index: (tag.low, tag.high) for index, tag in enumerate(profile.tags)}
    ranges |= {int(row["signal"]): (float(row["low"]), float(row["high"])) for row in plan.outputs}
    followed = {int(row["sp_signal"]) for row in plan.loops if int(row["master"]) >= 0}
    bands = np.zeros(len(profile.signals))
    for index, row in enumerate(plan.signals):
        kind, (low, high) = int(row["kind"]), ranges[index]
        if kind == SignalKind.FLAG or (kind == SignalKind.SETPOINT and index not in followed):
            continue
        span = high - low
        band, share = BANDS.get(profile.tags[index].unit, (span * BAND_SHARE, 1.0))
        bands[index] = band if span > ENDLESS else min(band, span * share)
    return bands


class _Part:
    """What will be a chunk: a stretch of time under one clock, its rows from place `start` on."""

    def __init__(self, begin: Stamp, scan: int, joined: bool, start: int) -> None:
        self.begin, self.joined, self.start = begin, joined, start
        self.end_ns = begin.mono_ns
        self.first_scan = self.last_scan = scan
        self._shift = begin.utc_ns - begin.mono_ns

    def same_clock(self, stamp: Stamp) -> bool:
        """Whether a stamp's wall clock is the one this part began with."""
        shift = stamp.utc_ns - stamp.mono_ns - self._shift
        return -CLOCK_NS <= shift <= CLOCK_NS and stamp.offset_min == self.begin.offset_min


class ByException:
    """The process history of one unit, between a look at each tick and a chunk each minute."""

    def __init__(self, profile: Profile) -> None:
        count = len(profile.signals)
        self.names = profile.signals
        self.units = [ucum(tag.unit) for tag in profile.tags]
        self._memory = np.zeros(count, MEMORY)
        self._memory["band"] = bands_of(profile)
        self._texts = [decimal_text(float(band)) for band in self._memory["band"]]
        self.listeners: list[Callable[[Kept], None]] = []
        self._rows = np.zeros(ROWS_WAITING + count, KEPT)
        self.waiting = 0
        self._parts: list[_Part] = []
        self._part: _Part | None = None
        self._image: Image | None = None
        self._scan, self._seen_ns = -1, 0

    @property
    def due(self) -> bool:
        """Whether more waits than should."""
        return self.waiting >= ROWS_WAITING // 2

    def forget(self) -> None:
        """What waits is given up, and a gap begins."""
        self._parts, self._part, self.waiting = [], None, 0

    def look(self, image: Image, stamp: Stamp) -> None:
        """Keeps what moved since the last look, if field scanned since."""
        if image is not self._image:  # another field: nobody looked between it and the last one
            self._image, self._part, self._scan = image, None, -1
            self._head = image.head[0]
        scan = int(self._head["scan"])
        if scan == self._scan:
            return
        now_ns = min(int(self._head["now_ns"]), stamp.mono_ns)
        seen_ns, before, part = self._seen_ns, self.waiting, self._part
        if part is None or now_ns - seen_ns > JOINED_NS:
            part = self._begin(_Part(stamp.at(now_ns), scan, False, before))
            seen_ns = -1
        elif not part.same_clock(stamp):
            part = self._begin(_Part(stamp.at(seen_ns), self._scan, True, before))
        self.waiting = keep_moved(
            image.signals, self._memory, self._rows, before, now_ns, seen_ns, HEARTBEAT_NS
        )
        self._scan = part.last_scan = scan
        self._seen_ns = part.end_ns = now_ns
        if self.listeners and self.waiting > before:
            kept = Kept(part.begin, seen_ns >= 0, self._rows[before : self.waiting].copy())
            for listener in self.listeners:
                listener(kept)
        if self.waiting >= ROWS_WAITING:  # nobody stores them
            self.forget()

    def _begin(self, part: _Part) -> _Part:
        self._part = part
        self._parts.append(part)
        return part

    def chunks(self) -> Iterator[tuple[bytes, Cover, int]]:
        """What waits as chunks: bytes, cover and rows. The next look goes on where they end."""
        parts, present, fill = self._parts, self._part, self.waiting
        if not fill:
            return
        self.forget()
        if present is not None:
            end = _later(present.begin, present.end_ns)
            self._begin(_Part(end, present.last_scan, True, 0))
        ends = [part.start for part in parts[1:]] + [fill]
        for part, end_place in zip(parts, ends, strict=True):
            if end_place > part.start:
                yield from self._chunks_of(part, self._rows[part.start : end_place])

    def _chunks_of(self, part: _Part, kept: Column) -> Iterator[tuple[bytes, Cover, int]]:
        begin, end = part.begin, _later(part.begin, part.end_ns)
        kept = kept[np.argsort(kept["time_ns"], kind="stable")]
        for low in range(0, len(self.names), TAGS_MAX):
            chosen = kept
            if len(self.names) > TAGS_MAX:
                chosen = kept[(kept["tag"] >= low) & (kept["tag"] < low + TAGS_MAX)]
            if not len(chosen):
                continue
            named, places = np.unique(chosen["tag"], return_inverse=True)
            rows = np.empty(len(chosen), ROW)
            rows["time"] = (chosen["time_ns"] - begin.mono_ns) // NS_PER_MS
            rows["tag"], rows["value"] = places, chosen["value"]
            rows["quality"], rows["reason"] = np.divmod(chosen["state"], STATE)
            cover = Cover(
                begin.rfc3339(), end.rfc3339(), begin.mono_ns, begin.boot_id, part.first_scan,
                part.last_scan, part.joined, tuple(self.names[i] for i in named),
                tuple(self.units[i] for i in named), tuple(self._texts[i] for i in named),
            )  # fmt: skip
            yield encode(cover, rows), cover, len(rows)


def _later(begin: Stamp, mono_ns: int) -> Stamp:
    """A later instant by the clocks of the beginning."""
    by = mono_ns - begin.mono_ns
    return Stamp(
        mono_ns, begin.boottime_ns + by, begin.utc_ns + by, begin.offset_min, begin.boot_id,
        begin.sync,
    )  # fmt: skip
