"""Line-based text protocols, without I/O and without device names: the profile gives the shapes.

One regular expression a reply: what does not match whole is not a value. Its groups are the points.
"""

from __future__ import annotations

import re

from controller.core.signal import Quality, Reason
from controller.profile.link_plan import DevicePlan, ReadPlan

NAN = float("nan")
GOOD, UNCERTAIN, BAD = int(Quality.GOOD), int(Quality.UNCERTAIN), int(Quality.BAD)
NONE, DEVICE = int(Reason.NONE), int(Reason.DEVICE)


class AsciiRead:
    """Request and reply of one poll. After `parse` answered "", `values` hold raw points."""

    __slots__ = ("tx", "values", "quality", "reason", "_eol", "_match", "_invalid", "_rejected",
                 "_groups", "_times", "_status", "_bad", "_uncertain")  # fmt: skip

    def __init__(self, device: DevicePlan, read: ReadPlan) -> None:
        self.tx = read.tx
        self._eol = device.eol_rx
        pattern = re.compile(read.match.encode("ascii"))
        self._match = pattern.match
        self._invalid = re.compile(read.invalid.encode("ascii")).match if read.invalid else None
        self._rejected = re.compile(device.rejected.encode("ascii")).match if (
            device.rejected
        ) else None
        index = pattern.groupindex
        self._groups = tuple(index[point.group] for point in read.points)
        self._times = tuple(
            (at, index[point.times]) for at, point in enumerate(read.points) if point.times
        )
        status = read.status
        self._status = index[status.group] if status else 0
        self._bad = _words(status.bad_words) if status else frozenset()
        self._uncertain = _words(status.uncertain_words) if status else frozenset()
        self.values = [NAN] * len(self._groups)
        self.quality, self.reason = BAD, DEVICE

    def size(self, buffer: bytes, start: int) -> int:
        """Where the frame that begins at `start` ends, 0 while it is not whole."""
        at = buffer.find(self._eol, start)
        return at + len(self._eol) if at >= 0 else 0

    def parse(self, frame: bytes) -> str:
        """Takes one whole frame; "" or what is wrong with it."""
        eol = self._eol
        text = frame if eol == b"!" else frame[: -len(eol)]
        found = self._match(text)
        if found is None:
            return self._refuse(text)
        values, group = self.values, found.group
        for at, number in enumerate(self._groups):
            values[at] = float(group(number))
        for at, number in self._times:
            values[at] *= float(group(number))
        self.quality, self.reason = GOOD, NONE
        if self._status and group(self._status):
            self._judge(group(self._status))
        return ""

    def _judge(self, status: bytes) -> None:
        words = status.split()
        if not self._bad.isdisjoint(words):
            self.quality, self.reason = BAD, DEVICE
        elif not self._uncertain.isdisjoint(words):
            self.quality, self.reason = UNCERTAIN, DEVICE

    def _refuse(self, text: bytes) -> str:
        if self._invalid is not None and self._invalid(text):
            self.values[:] = [NAN] * len(self.values)
            self.quality, self.reason = BAD, DEVICE
            return ""
        if self._rejected is not None and self._rejected(text):
            return "the device rejected the request"
        return "garbled reply or another address"


def _words(words: frozenset[str]) -> frozenset[bytes]:
    return frozenset(word.encode("ascii") for word in words)
