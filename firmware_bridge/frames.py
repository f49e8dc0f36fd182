"""Frames on the line: COBS, one zero byte, CRC-32 (PROTOCOL.md, Line and frame). Sans-IO.

The decoder takes any bytes in any pieces, holds at most one frame, and names what it dropped.
COBS: Cheshire and Baker, Consistent Overhead Byte Stuffing, IEEE/ACM Transactions on Networking
7 (1999) 159, doi:10.1109/90.769765.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import Enum
from typing import Final
from zlib import crc32

from firmware_bridge.codes import CRC_SIZE, ENCODED_MAX, FRAME_MAX, HEAD_SIZE, PAYLOAD_MAX, VERSION

_HEAD: Final = struct.Struct("<BBIH")
_CRC: Final = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame whose CRC is right; `type` and `version` may still be unknown."""

    type: int
    session: int
    sequence: int
    payload: bytes
    version: int = VERSION


class Fault(Enum):
    """Why bytes up to a zero were dropped."""

    LONG = "longer than a frame may be"
    CODE = "not COBS"
    SHORT = "shorter than head and CRC"
    CRC = "wrong CRC"


def cobs_encode(data: bytes) -> bytes:
    """Without any zero byte; at most one byte in 254 more, plus one."""
    out = bytearray()
    runs = data.split(b"\0")
    for number, run in enumerate(runs):
        while len(run) >= 254:
            out.append(255)
            out += run[:254]
            run = run[254:]
            if not run and number == len(runs) - 1:
                return bytes(out)  # a full block at the very end needs no block after it
        out.append(len(run) + 1)
        out += run
    return bytes(out)


def cobs_decode(data: bytes) -> bytes | None:
    """None if these bytes are not COBS (a zero, or a block that reaches beyond the end)."""
    out = bytearray()
    at, size = 0, len(data)
    while at < size:
        code = data[at]
        end = at + code
        if code == 0 or end > size:
            return None
        block = data[at + 1 : end]
        if 0 in block:
            return None
        out += block
        at = end
        if code != 255 and at < size:
            out.append(0)
    return bytes(out)


def encode(
    type_: int, session: int, sequence: int, payload: bytes, version: int = VERSION
) -> bytes:
    """One frame with its zero byte; raises ValueError for a payload longer than PAYLOAD_MAX."""
    if len(payload) > PAYLOAD_MAX:
        raise ValueError(f"payload of {len(payload)} bytes; at most {PAYLOAD_MAX}")
    body = _HEAD.pack(version, type_, session, sequence) + payload
    return cobs_encode(body + _CRC.pack(crc32(body))) + b"\0"


def decode(encoded: bytes) -> Frame | Fault:
    """The frame in the bytes between two zeros."""
    if len(encoded) >= ENCODED_MAX:
        return Fault.LONG
    data = cobs_decode(encoded)
    if data is None:
        return Fault.CODE
    if len(data) > FRAME_MAX:
        return Fault.LONG
    if len(data) < HEAD_SIZE + CRC_SIZE:
        return Fault.SHORT
    if crc32(data[:-CRC_SIZE]) != _CRC.unpack(data[-CRC_SIZE:])[0]:
        return Fault.CRC
    version, type_, session, sequence = _HEAD.unpack_from(data)
    return Frame(type_, session, sequence, data[HEAD_SIZE:-CRC_SIZE], version)


@dataclass(slots=True)
class Decoder:
    """Bytes in, frames and faults out; holds fewer than ENCODED_MAX bytes between calls."""

    _held: bytearray = field(default_factory=bytearray)
    _long: bool = False

    def feed(self, data: bytes) -> list[Frame | Fault]:
        """Everything that ended in these bytes, in order; two zeros in a row are nothing."""
        found: list[Frame | Fault] = []
        *ended, rest = data.split(b"\0")
        for piece in ended:
            self._hold(piece)
            if self._long:
                found.append(Fault.LONG)
            elif self._held:
                found.append(decode(bytes(self._held)))
            self._held.clear()
            self._long = False
        self._hold(rest)
        return found

    def _hold(self, piece: bytes) -> None:
        if self._long or len(self._held) + len(piece) >= ENCODED_MAX:
            self._long = True
            self._held.clear()
        else:
            self._held += piece
