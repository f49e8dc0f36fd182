"""What the trends are filled from after a page was opened: the past of every tag, in three grains.

Points are taken in the supervisor's thread by process time (so that a fast rig has the same trends
as a live unit) and kept in the server's. Whatever was not good, and every time nobody scanned, is a
gap: a curve must not run across what nobody knows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from controller.core.clock import NS_PER_S, Stamp
from controller.core.signal import Quality
from controller.field.image import Image
from controller.hmi.limits import HISTORY_POINTS, POINTS_WAITING
from controller.hmi.reading import decimals, shown_unit
from controller.profile.compile import Profile
from controller.profile.plan import SignalKind

Column = npt.NDArray[np.float32]
Times = npt.NDArray[np.int64]
GRAINS = ((1, 3_600), (10, 8_640), (60, 20_160))  # seconds a point, points: 1 h, 1 d, 14 d
JOINED_S, JOINED_WALL_S = 2.5, 0.5  # how far apart two points may be: of process time, of life


@dataclass(frozen=True, slots=True)
class Point:
    """All trended values at one instant of process time; NaN is what was not good.

    `joined`: it follows so soon on the last one that a line between them tells the truth.
    """

    utc_ns: int
    values: Column
    joined: bool = True


class Sampler:
    """Takes a point each second of process time, if the field scanned since the last one."""

    def __init__(self, profile: Profile) -> None:
        kinds = profile.plan.signals["kind"]
        wanted = np.isin(kinds, (SignalKind.FLAG, SignalKind.LINK_AGE, SignalKind.SUPERVISOR_AGE))
        self._places = (~wanted).nonzero()[0]
        self.names = [profile.signals[int(place)] for place in self._places]
        self._factors = np.array([shown_unit(profile, name)[1] for name in self.names])
        self._scan, self._next_ns, self._last_ns = -1, -1, -1
        self._waiting: list[Point] = []

    def look(self, image: Image, stamp: Stamp, speed: float) -> None:
        """Takes a point when one is due; `speed` is how much faster than life the stamps run."""
        scan = int(image.head["scan"][0])
        if stamp.mono_ns < self._next_ns or scan == self._scan:
            return
        self._scan = scan
        self._next_ns = (stamp.mono_ns // NS_PER_S + 1) * NS_PER_S
        signals = image.signals
        values = signals["value"][self._places] / self._factors
        bad = signals["quality"][self._places] == Quality.BAD
        values[bad | ~np.isfinite(values)] = math.nan
        far_ns = max(JOINED_S, JOINED_WALL_S * speed) * NS_PER_S
        joined = self._last_ns >= 0 and stamp.mono_ns - self._last_ns <= far_ns
        if len(self._waiting) < POINTS_WAITING:
            self._last_ns = stamp.mono_ns
            self._waiting.append(Point(stamp.utc_ns, values.astype(np.float32), joined))

    def taken(self) -> list[Point]:
        """The points since the last call."""
        found, self._waiting = self._waiting, []
        return found


class _Ring:
    """One grain: the first point of each slot of it, broken by whatever broke in the slot."""

    def __init__(self, grain_s: int, points: int, width: int) -> None:
        self.grain_s = grain_s
        self.span_ns = grain_s * points * NS_PER_S
        self._size = points
        self._times = np.zeros(points, np.int64)
        self._values = np.full((points, width), np.nan, np.float32)
        self._broken = np.zeros(points, np.bool_)
        self._count = 0
        self._slot = -1

    def put(self, point: Point) -> None:
        slot = point.utc_ns // (self.grain_s * NS_PER_S)
        if slot == self._slot:
            row = self._values[(self._count - 1) % self._size]
            row[np.isnan(point.values) | (not point.joined)] = np.nan
            return
        self._slot = slot
        place = self._count % self._size
        self._times[place], self._values[place] = point.utc_ns, point.values
        self._broken[place] = not point.joined
        self._count += 1

    @property
    def first_ns(self) -> int:
        """Time of the oldest point, or none: a time to come."""
        if self._count == 0:
            return 1 << 62
        return int(self._times[self._count % self._size if self._count >= self._size else 0])

    @property
    def last_ns(self) -> int:
        """Time of the newest point; 0 without one."""
        return int(self._times[(self._count - 1) % self._size]) if self._count else 0

    def between(self, from_ns: int, to_ns: int) -> tuple[Times, Column, npt.NDArray[np.bool_]]:
        """Times, values and before which points there is a break, oldest first."""
        order = np.arange(max(self._count - self._size, 0), self._count) % self._size
        order = order[(self._times[order] >= from_ns) & (self._times[order] <= to_ns)]
        return self._times[order], self._values[order], self._broken[order]


class Trends:
    """The past of one unit; only the server's thread touches it."""

    def __init__(self, profile: Profile, names: Sequence[str]) -> None:
        self._names = {name: place for place, name in enumerate(names)}
        self._places = [min(decimals(profile, name), 6) for name in names]
        self._rings = [_Ring(grain, points, len(names)) for grain, points in GRAINS]

    def put(self, points: Sequence[Point]) -> None:
        """Keeps points, oldest first."""
        for point in points:
            for ring in self._rings:
                ring.put(point)

    def recall(self, point: Point, now_ns: int) -> None:
        """Keeps a point of the past in the grains that reach back to it; before any `put`."""
        for ring in self._rings:
            if now_ns - point.utc_ns <= ring.span_ns:
                ring.put(point)

    def unknown(self, names: Sequence[str]) -> list[str]:
        """Those of the names that have no trend."""
        return [name for name in names if name not in self._names]

    def columns(self, names: Sequence[str], from_s: float, to_s: float) -> dict[str, Any]:
        """`{"t": [s since 1970], "grain_s": s, "tags": {name: [value or None]}}`.

        In the finest grain that reaches back to `from_s` and is not longer than HISTORY_POINTS;
        between points that do not follow each other stands a row of None. KeyError: unknown name.
        """
        columns = [self._names[name] for name in names]
        ring = self._fitting(int(from_s * NS_PER_S), int(to_s * NS_PER_S))
        times, values, broken = ring.between(int(from_s * NS_PER_S), int(to_s * NS_PER_S))
        values = values[:, columns]
        step = max(-(-len(times) // HISTORY_POINTS), 1)
        if step > 1:
            times, values, broken = _thinned(times, values, broken, step)
        places = broken.nonzero()[0]
        places = places[places > 0]
        between = (times[places - 1] + times[places]) // 2
        times = np.insert(times, places, between)
        values = np.insert(values, places, np.nan, axis=0)
        found: dict[str, list[float | None]] = {}
        for place, name in enumerate(names):
            digits = self._places[columns[place]]
            column = values[:, place].tolist()
            found[name] = [None if math.isnan(v) else round(v, digits) for v in column]
        return {"t": [round(t / NS_PER_S, 1) for t in times.tolist()],
                "grain_s": ring.grain_s * step, "tags": found}  # fmt: skip

    def _fitting(self, from_ns: int, to_ns: int) -> _Ring:
        """The finest grain that reaches back far enough and is not too long."""
        to_ns = min(to_ns, self._rings[0].last_ns)
        from_ns = max(from_ns, min(ring.first_ns for ring in self._rings))
        for ring in self._rings:
            points = (to_ns - from_ns) / NS_PER_S / ring.grain_s
            if ring.first_ns <= from_ns and points <= HISTORY_POINTS:
                return ring
        return self._rings[-1]


def _thinned(
    times: Times, values: Column, broken: npt.NDArray[np.bool_], step: int
) -> tuple[Times, Column, npt.NDArray[np.bool_]]:
    """Every `step`-th point; what was broken or not good in between stays so."""
    places = np.arange(0, len(times), step)
    bad = np.logical_or.reduceat(np.isnan(values), places, axis=0)
    thinned = values[places].copy()
    thinned[bad] = np.nan
    return times[places], thinned, np.logical_or.reduceat(broken, places)
