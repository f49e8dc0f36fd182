"""What a served unit saw: the last frames of every line with their times, and how far the plant's
truth went since a mark.

A module because a test of a live run must assert what left the controller and what became of the
cells, both from outside the controller. All of it is bounded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

FRAMES_MAX = 4_096
ANSWER_BYTES_MAX = 40_000
Plain = str | float | bool | int
Frame = tuple[int, int, list[Plain]]


class Trace:
    """The last FRAMES_MAX frames that came in over one line, each with its number from 0."""

    def __init__(self) -> None:
        self._frames: deque[Frame] = deque(maxlen=FRAMES_MAX)
        self.count = 0

    def note(self, now_ns: int, *what: Plain) -> None:
        """Keeps one frame; the oldest gives way."""
        self._frames.append((self.count, now_ns, list(what)))
        self.count += 1

    def since(self, number: int) -> list[Frame]:
        """Frames from `number` on, oldest first, as many as fit into one answer."""
        found: list[Frame] = []
        room = ANSWER_BYTES_MAX
        for frame in self._frames:
            if frame[0] < number:
                continue
            room -= 48 + sum(len(str(part)) + 4 for part in frame[2])
            if room < 0 and found:
                break
            found.append(frame)
        return found


class Extremes:
    """Lowest and highest of every number of the truth since `begin`."""

    def __init__(self) -> None:
        self.watching = False
        self.ticks = 0
        self._first: dict[str, float] = {}
        self._low: dict[str, float] = {}
        self._high: dict[str, float] = {}
        self._last: dict[str, float] = {}

    def begin(self, truth: Mapping[str, Any]) -> None:
        """Forgets what was and starts from here."""
        self.watching, self.ticks = True, 0
        self._first = _numbers(truth)
        self._low, self._high = dict(self._first), dict(self._first)
        self._last = self._first

    def tick(self, truth: Mapping[str, Any]) -> None:
        """Takes one more instant."""
        self.ticks += 1
        self._last = _numbers(truth)
        low, high = self._low, self._high
        for name, value in self._last.items():
            if value < low[name]:
                low[name] = value
            elif value > high[name]:
                high[name] = value

    def plain(self) -> dict[str, dict[str, float]]:
        """By name: value at the mark, lowest, highest and last value; empty without a mark."""
        return {
            name: {"first": self._first[name], "low": self._low[name], "high": self._high[name],
                   "last": self._last[name]}
            for name in self._first
        }  # fmt: skip


def _numbers(truth: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in truth.items() if not isinstance(value, bool)}
