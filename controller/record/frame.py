"""How a record lies in a segment file: `len u32le | crc32 u32le | seq u64le | payload`.

The payload is the record in RFC 8785 canonical JSON, hashed as stored. A module because writer,
verifier, recovery and `show` must agree on it; it decides what is damage, not what to do about it.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import rfc8785

from controller.core.errors import BadInput, RecordFailure

PAYLOAD_BYTES_MAX = 65_535  # what an entry bundle of tlog-tiles can hold
VERSIONS = (1, 2)
FORMAT = 2
_V1_PAYLOAD_BYTES_MAX = 65_536
SEGMENT_BYTES = 16 * 1024 * 1024  # a segment is closed once it is at least this long
SEGMENT_BYTES_MAX = 32 * 1024 * 1024  # no reader takes a longer one
SEGMENT_NAME = re.compile(r"[0-9]{8}\.seg")
_HEADER = struct.Struct("<IIQ")
_SEQ = struct.Struct("<Q")
HEADER_BYTES = _HEADER.size
_FLAT = frozenset({str, bool, type(None)})
_INT_MAX = 2**53 - 1
_FIELDS = frozenset(
    ("v", "event", "time", "mono_ns", "boottime_ns", "actor", "role", "reason", "data")
)
_OPTIONAL = frozenset(("boot_id", "sync", "source"))
_encode_flat = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False, check_circular=False
).encode


def canonical(record: Mapping[str, Any]) -> bytes:
    """A record in RFC 8785 form.

    A record of text, lists of text and integers (its `data` one level deeper) goes through the
    standard library's encoder, whose bytes are then the same; everything else through `rfc8785`.
    Raises BadInput for what canonical JSON cannot hold and for more than 64 KiB.
    """
    payload = b""
    try:
        data = record.get("data")
        if _is_flat(record) and (data is None or _is_flat(data)):
            payload = _encode_flat(record).encode()
        if not payload or not payload.isascii():  # key order differs only beyond ASCII
            payload = rfc8785.dumps(_plain(record))
    except ValueError as error:
        raise BadInput(
            f"the record cannot be written as canonical JSON: {error}",
            where=record.get("event", "record"),
            do="Give measured numbers as decimal strings.",
        ) from error
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise BadInput(
            f"the record has {len(payload)} bytes, {PAYLOAD_BYTES_MAX} are allowed",
            where=record.get("event", "record"),
            do="Store the large part as a blob and record its digest.",
        )
    return payload


def _is_flat(value: Any) -> bool:
    """Whether a dict holds only text, lists of text, integers, truths, null - and its `data`."""
    if type(value) is not dict:
        return False
    for name, part in value.items():
        kind = type(part)
        if kind is int:
            if not -_INT_MAX <= part <= _INT_MAX:
                return False
        elif kind is list:
            if not all(type(item) is str for item in part):
                return False
        elif kind not in _FLAT and name != "data":
            return False
    return True


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def checksum(seq: int, payload: bytes, before: int = 0) -> int:
    """The CRC-32 (zlib's) of a frame over `seq` and the payload, begun from `before`."""
    return zlib.crc32(payload, zlib.crc32(_SEQ.pack(seq), before))


def pack(seq: int, payload: bytes, before: int = 0) -> bytes:
    """The frame of a payload; `before` is the CRC-32 of the frame before it in the same write."""
    return _HEADER.pack(len(payload), checksum(seq, payload, before), seq) + payload


@dataclass(frozen=True, slots=True)
class Frame:
    """One valid frame and where it begins."""

    seq: int
    payload: bytes
    file: str
    offset: int

    @property
    def where(self) -> str:
        """The frame as a problem names it."""
        return f"record {self.seq} ({self.file}, byte {self.offset})"


@dataclass(frozen=True, slots=True)
class Damage:
    """The first place in the segments that is not a valid frame.

    `tail` is true when the damage is in the last segment and no frame that stands alone follows it:
    what an interrupted write leaves. `offset` is where the file is still good up to.
    """

    seq: int
    file: str
    offset: int
    what: str
    tail: bool

    @property
    def where(self) -> str:
        """The damage as a problem names it."""
        return f"record {self.seq} ({self.file}, byte {self.offset})"


def segment_files(directory: Path) -> list[Path]:
    """The segment files of a log in order of their numbers."""
    found = (directory / "segments").glob("*.seg")
    return sorted(path for path in found if SEGMENT_NAME.fullmatch(path.name))


def read_frames(directory: Path) -> Iterator[Frame | Damage]:
    """Every valid frame of a log in order, then the first damage if there is any.

    Space set aside at the end of the last segment is passed over. Holds one segment in memory at a
    time. Raises RecordFailure for a file that cannot be read.
    """
    seq = 0
    files = segment_files(directory)
    for number, path in enumerate(files):
        name = f"segments/{path.name}"
        data = read_limited(path, SEGMENT_BYTES_MAX)
        if path.name != f"{number:08d}.seg":
            yield Damage(seq, name, 0, f"segment {number:08d}.seg is missing before it", False)
            return
        last = number == len(files) - 1
        end = len(data.rstrip(b"\0")) if last else len(data)  # no payload ends with a zero byte
        if not end:
            yield Damage(seq, name, 0, "the segment is empty", last)
            return
        offset = before = 0
        while offset < end:
            payload = payload_at(data, offset, seq, before)
            if isinstance(payload, str):
                tail = last and not _frame_alone_after(data[:end], offset, seq)
                yield Damage(seq, name, offset, payload, tail)
                return
            yield Frame(seq, payload, name, offset)
            before = int.from_bytes(data[offset + 4 : offset + 8], "little")
            offset += HEADER_BYTES + len(payload)
            seq += 1


def payload_at(data: bytes, offset: int, expected: int, before: int = 0) -> bytes | str:
    """The payload of the frame numbered `expected` at `offset`, or what is wrong with it.

    `before` is the CRC-32 of the frame before it, which it may be begun from.
    """
    if len(data) - offset < HEADER_BYTES:
        return f"only {len(data) - offset} bytes where a frame should begin"
    length, crc, seq = _HEADER.unpack_from(data, offset)
    begin = offset + HEADER_BYTES
    if not 0 < length <= _V1_PAYLOAD_BYTES_MAX:
        return f"the frame gives its length as {length}"
    if begin + length > len(data):
        return f"the frame ends {begin + length - len(data)} bytes after the end of the file"
    covered = data[begin - _SEQ.size : begin + length]
    if zlib.crc32(covered, before) != crc and zlib.crc32(covered) != crc:
        return "the CRC-32 does not match"
    if seq != expected:
        return f"the frame carries sequence number {seq}"
    return covered[_SEQ.size :]


def _frame_alone_after(data: bytes, damaged: int, seq: int) -> bool:
    """Whether a whole frame with a later sequence number begins a write after `damaged`."""
    for offset in range(damaged + 1, len(data) - HEADER_BYTES):
        length, crc, found = _HEADER.unpack_from(data, offset)
        begin = offset + HEADER_BYTES
        if (
            0 < length <= _V1_PAYLOAD_BYTES_MAX
            and begin + length <= len(data)
            and seq <= found <= seq + len(data)
            and zlib.crc32(data[begin - _SEQ.size : begin + length]) == crc
        ):
            return True
    return False


def decode(payload: bytes) -> dict[str, Any]:
    """The record in a payload. Raises ValueError when it is not a record of a known format."""
    try:
        record = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the payload is not JSON: {error}") from error
    if not isinstance(record, dict) or not isinstance(record.get("event"), str):
        raise ValueError("the payload is not a record")
    if record.get("v") not in VERSIONS or isinstance(record["v"], bool):
        raise ValueError(
            f"the record has format {record.get('v')!r}, this program reads formats 1 and 2"
        )
    odd = (record.keys() - _OPTIONAL) ^ _FIELDS
    for name, value in record.items():
        if name != "v" and not isinstance(value, dict if name == "data" else str):
            odd.add(name)
    if odd:
        raise ValueError(f"the fields {sorted(odd)} are missing, unknown or of another type")
    return record


def open_plain(path: Path) -> BinaryIO:
    """Opens a plain file for reading; OSError for a link, a pipe or anything else."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a plain file")
    return os.fdopen(fd, "rb")


def read_limited(path: Path, bytes_max: int) -> bytes:
    """A whole plain file of at most `bytes_max`. Raises RecordFailure otherwise."""
    try:
        with open_plain(path) as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        raise RecordFailure(f"cannot be read: {error.strerror}", where=path) from error
    if len(data) > bytes_max:
        raise RecordFailure(f"is longer than the {bytes_max} bytes allowed", where=path)
    return data
