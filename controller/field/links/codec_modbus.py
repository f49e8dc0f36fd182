"""Modbus RTU reads (functions 3 and 4), without I/O: Modbus over serial line V1.02, section 2.5.

Read-only on purpose: no device of ours is written by Modbus, and a probe's memory wears out. The
word order of floats may be `check`: then it is found from the limits that stand in the same reply.
"""

from __future__ import annotations

import math
import struct

from controller.core.signal import Quality, Reason
from controller.profile.link_plan import DevicePlan, PointPlan, ReadPlan

NAN = float("nan")
GOOD, UNCERTAIN, BAD = int(Quality.GOOD), int(Quality.UNCERTAIN), int(Quality.BAD)
NONE, DEVICE, NOT_FINITE = int(Reason.NONE), int(Reason.DEVICE), int(Reason.NOT_FINITE)
_FLOAT = struct.Struct(">f")
_LONG = struct.Struct(">I")


def _table() -> tuple[int, ...]:
    rows = []
    for byte in range(256):
        row = byte
        for _ in range(8):
            row = (row >> 1) ^ (0xA001 if row & 1 else 0)
        rows.append(row)
    return tuple(rows)


_CRC = _table()


def crc16(data: bytes) -> int:
    """CRC-16/MODBUS of `data`; appended low byte first. Over a frame with its CRC it is 0."""
    crc, table = 0xFFFF, _CRC
    for byte in data:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc


class ModbusRead:
    """Request and reply of one poll. After `parse` answered "", `values` hold raw points."""

    __slots__ = ("tx", "values", "quality", "reason", "_unit", "_function", "_length", "_count",
                 "_unpack", "_points", "_low_first", "_known", "_limits", "_status_at",
                 "_bad_mask", "_uncertain_mask", "_value_at")  # fmt: skip

    def __init__(self, device: DevicePlan, read: ReadPlan) -> None:
        self._unit = int(device.address)
        self._function = read.function
        self._count = read.count
        self._length = 5 + 2 * read.count
        body = struct.pack(">BBHH", self._unit, read.function, read.address, read.count)
        self.tx = body + crc16(body).to_bytes(2, "little")
        self._unpack = struct.Struct(f">{read.count}H").unpack_from
        self._points = read.points
        self._low_first = read.words == "low_first"
        self._known = read.words != "check"
        self._limits = read.limits
        self._value_at = read.points[0].at
        status = read.status
        self._status_at = status.at if status else -1
        self._bad_mask = status.bad_mask if status else 0
        self._uncertain_mask = status.uncertain_mask if status else 0
        self.values = [NAN] * len(read.points)
        self.quality, self.reason = BAD, DEVICE

    def size(self, buffer: bytes, start: int) -> int:
        """Where the frame ends, 0 while it is not whole. Length follows from the request."""
        have = len(buffer) - start
        if have < 5:
            return 0
        if buffer[start + 1] & 0x80 or buffer[start] != self._unit:
            return start + 5
        return start + self._length if have >= self._length else 0

    def parse(self, frame: bytes) -> str:
        """Takes one whole frame; "" or what is wrong with it."""
        if frame[0] != self._unit:
            return "an answer from another address"
        if crc16(frame):
            return "bad CRC"
        if frame[1] == self._function | 0x80:
            return f"Modbus exception {frame[2]}"
        if frame[1] != self._function or frame[2] != 2 * self._count:
            return "an answer to another request"
        words = self._unpack(frame, 3)
        if not self._known and not self._learn(words):
            return "word order unclear: minimum, value and maximum do not fit"
        self.quality, self.reason = GOOD, NONE
        if self._status_at >= 0:
            self._judge(self._pair(words, self._status_at))
        values = self.values
        for at, point in enumerate(self._points):
            value = self._value(words, point)
            values[at] = value
            if not math.isfinite(value):
                self.quality, self.reason = BAD, NOT_FINITE
        return ""

    def _value(self, words: tuple[int, ...], point: PointPlan) -> float:
        if point.kind == "float32":
            return float(_FLOAT.unpack(_LONG.pack(self._pair(words, point.at)))[0])
        if point.kind == "uint32":
            return float(self._pair(words, point.at))
        word = words[point.at]
        return float(word - 0x10000 if point.kind == "int16" and word & 0x8000 else word)

    def _pair(self, words: tuple[int, ...], at: int) -> int:
        if self._low_first:
            return words[at] | words[at + 1] << 16
        return words[at] << 16 | words[at + 1]

    def _judge(self, status: int) -> None:
        if status & self._bad_mask:
            self.quality, self.reason = BAD, DEVICE
        elif status & self._uncertain_mask:
            self.quality, self.reason = UNCERTAIN, DEVICE

    def _learn(self, words: tuple[int, ...]) -> bool:
        """Finds the one word order in which minimum <= value <= maximum are sane numbers."""
        low_at, high_at = self._limits or (0, 0)
        fitting = []
        for low_first in (False, True):
            self._low_first = low_first
            low, value, high = (
                float(_FLOAT.unpack(_LONG.pack(self._pair(words, at)))[0])
                for at in (low_at, self._value_at, high_at)
            )
            if low <= value <= high and low < high and all(map(_sane, (low, value, high))):
                fitting.append(low_first)
        if len(fitting) != 1:
            return False
        self._low_first, self._known = fitting[0], True
        return True


def _sane(value: float) -> bool:
    """A number a probe could show: not a float whose words stand the wrong way round."""
    return value == 0 or 1e-6 < abs(value) < 1e6
