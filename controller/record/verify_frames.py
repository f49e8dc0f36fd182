"""Reads the records of a log once, in pieces, and builds their RFC 6962 tree.

A module because this is the loop that decides how long a verification takes: a frame costs one
CRC-32 (two where a write ended), one leaf hash and, on average, one node hash; nothing else is done
for a record unless the caller watches for its text.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from controller.core.errors import RecordFailure
from controller.record.frame import (
    HEADER_BYTES,
    SEGMENT_BYTES_MAX,
    SEGMENT_NAME,
    open_plain,
)
from controller.record.tree import EMPTY_ROOT

PIECE_BYTES = 1 << 20
TILE_HASHES = 256
NEVER = 1 << 62
_FIRST_BYTES_MAX = 1 << 20  # of record 0, also of a format that is not known yet
_HEADER = struct.Struct("<IIQ")
_SEQ_BYTES = 8

OnRecord = Callable[[int, str, bytes], None]
OnTile = Callable[[int, int, bytes], None]


class Growing:
    """A tree as rows of tiles: row L holds the roots of subtrees of 256^L records.

    Each row keeps the hashes of its unfinished tile and that tile's peaks; `on_tile(level, index,
    hashes)` is called with every tile the moment it is full.
    """

    def __init__(self, on_tile: OnTile) -> None:
        self.size = 0
        self.row: list[bytes] = []  # of level 0, filled by `Frames`
        self.peaks: list[bytes] = []
        self._on_tile = on_tile
        self._above: list[tuple[list[bytes], list[bytes]]] = []
        self._counts: list[int] = []

    def turn(self) -> None:
        """Hands on the level 0 tile, which is full, and begins the next one."""
        self._full(0, self.row)
        self._push(0, self.peaks.pop())
        self.row.clear()

    def _push(self, at: int, subtree: bytes) -> None:
        if at == len(self._above):
            self._above.append(([], []))
        row, peaks = self._above[at]
        bits = len(row)
        row.append(subtree)
        while bits & 1:
            subtree = hashlib.sha256(b"\x01" + peaks.pop() + subtree).digest()
            bits >>= 1
        peaks.append(subtree)
        if len(row) == TILE_HASHES:
            self._full(at + 1, row)
            row.clear()
            self._push(at + 1, peaks.pop())

    def _full(self, level: int, row: list[bytes]) -> None:
        if level == len(self._counts):
            self._counts.append(0)
        self._on_tile(level, self._counts[level], b"".join(row))
        self._counts[level] += 1

    def partial(self, level: int) -> bytes:
        """The hashes of the unfinished tile of a level, one after another; empty if none."""
        if level == 0:
            return b"".join(self.row)
        return b"".join(self._above[level - 1][0]) if level <= len(self._above) else b""

    def root(self) -> bytes:
        """The root over all records so far (RFC 6962 section 2.1)."""
        peaks = [peak for _, row in reversed(self._above) for peak in row] + self.peaks
        if not peaks:
            return EMPTY_ROOT
        root = peaks.pop()
        for peak in reversed(peaks):
            root = hashlib.sha256(b"\x01" + peak + root).digest()
        return root


class Frames:
    """The frames of a log from the first one on, as far as they are whole.

    `run(until)` reads to that number of records, at most; `where` and `damage` say where the
    reading stands and what stopped it. `on_record(seq, where, payload)` gets each record whose
    frame holds `needle`, or every record if `needle` is empty.
    """

    def __init__(
        self,
        directory: Path,
        tree: Growing,
        on_record: OnRecord,
        *,
        needle: bytes,
        payload_max: int,
        chained: bool,
        spare: bool,
    ) -> None:
        """`chained`: a CRC-32 may go on from the one before. `spare`: zeros may follow the end."""
        self.damage = ""
        self._chained, self._spare, self._before = chained, spare, 0
        self._tree, self._on_record = tree, on_record
        self._needle, self._payload_max = needle, payload_max
        self._directory = directory
        self._names = segment_names(directory)
        self._number = 0
        self._file: BinaryIO | None = None
        self._data, self._at, self._base, self._watch = b"", 0, 0, NEVER

    @property
    def where(self) -> str:
        """The place of the frame that comes next, as a problem names it."""
        offset = self._base + self._at
        return f"record {self._tree.size} (segments/{self._number:08d}.seg, byte {offset})"

    def run(self, until: int) -> bool:
        """Reads until the tree has `until` records; False if the records end before that."""
        while self._tree.size < until and not self.damage:
            edge = self._tree.size - self._tree.size % TILE_HASHES + TILE_HASHES
            self._take(min(until, edge))
            if self._tree.size == edge:
                self._tree.turn()
            elif self._tree.size < until and not self._refill():
                return False
        return self._tree.size >= until

    def close(self) -> None:
        """Lets go of the file that is open."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _take(self, until: int) -> None:
        """Takes frames from the buffer up to `until` records, which lie in one tile."""
        data, at, end, watch = self._data, self._at, len(self._data), self._watch
        seq, push_leaf, before = self._tree.size, self._tree.row.append, self._before
        push, pop = self._tree.peaks.append, self._tree.peaks.pop
        unpack, crc32, sha256 = _HEADER.unpack_from, zlib.crc32, hashlib.sha256
        while seq < until and end - at >= HEADER_BYTES:
            length, crc, found = unpack(data, at)
            stop = at + HEADER_BYTES + length
            if stop > end or length > self._payload_max or not length or found != seq:
                break
            covered = data[at + HEADER_BYTES - _SEQ_BYTES : stop]
            if crc32(covered, before) != crc and crc32(covered) != crc:
                break
            if self._chained:
                before = crc
            # The byte before the payload is the highest of `seq`: 0, as a leaf's prefix must be.
            leaf = sha256(data[at + HEADER_BYTES - 1 : stop]).digest()
            push_leaf(leaf)
            bits = seq & (TILE_HASHES - 1)
            while bits & 1:
                leaf = sha256(b"\x01" + pop() + leaf).digest()
                bits >>= 1
            push(leaf)
            if stop > watch:
                payload = data[at + HEADER_BYTES : stop]
                if self._needle in payload:  # it may also lie across two frames
                    self._at, self._tree.size = at, seq
                    self._on_record(seq, self.where, payload)
                watch = self._find(stop)
            seq, at = seq + 1, stop
        self._at, self._watch, self._before = at, watch, before
        self._tree.size = seq

    def _find(self, start: int) -> int:
        if not self._needle:
            return start
        found = self._data.find(self._needle, start)
        return NEVER if found < 0 else found

    def _refill(self) -> bool:
        """More bytes for the buffer, from this segment or the next; False at the end or damage."""
        rest = self._data[self._at :]
        if self._file is not None:
            more = self._file.read(PIECE_BYTES)
            if more and not (self._whole_header_is_wrong(rest)):
                self._load(rest + more, self._base + self._at)
                return True
            if rest and not self._only_spare(rest + more):
                self.damage = self._wrong(rest)
                return False
            self.close()
            self._number += 1
            self._load(b"", 0)
        return self._open_next()

    def _open_next(self) -> bool:
        if self._number == len(self._names):
            return False
        name = self._names[self._number]
        if name != f"{self._number:08d}.seg":
            self.damage = f"segment {self._number:08d}.seg is missing before {name}"
            return False
        path = self._directory / "segments" / name
        try:
            self._file = open_plain(path)
            size = os.fstat(self._file.fileno()).st_size
            data = self._file.read(PIECE_BYTES)
        except OSError as error:
            raise RecordFailure(f"cannot be read: {error.strerror}", where=path) from error
        if size > SEGMENT_BYTES_MAX:
            self.damage = f"the segment is longer than the {SEGMENT_BYTES_MAX} bytes allowed"
        elif not data:
            self.damage = "the segment is empty"
        self._load(data, 0)
        return not self.damage

    def _only_spare(self, rest: bytes) -> bool:
        """Whether nothing but zeros follows, in the last segment of an open log, after a frame."""
        last = self._number == len(self._names) - 1
        if not (self._spare and last and self._base + self._at > 0):
            return False
        while rest and not rest.strip(b"\0") and self._file is not None:
            rest = self._file.read(PIECE_BYTES)
        return not rest

    def _load(self, data: bytes, base: int) -> None:
        self._data, self._at, self._base = data, 0, base
        self._before = self._before if base else 0
        self._watch = self._find(0)

    def _whole_header_is_wrong(self, rest: bytes) -> bool:
        """Whether more bytes cannot make a frame of `rest`."""
        if len(rest) < HEADER_BYTES:
            return False
        (length,) = struct.unpack_from("<I", rest)
        too_long = not 0 < length <= self._payload_max
        return too_long or HEADER_BYTES + length <= len(rest)

    def _wrong(self, rest: bytes) -> str:
        """What keeps `rest`, the segment from here on, from beginning with a frame."""
        if len(rest) < HEADER_BYTES:
            return f"only {len(rest)} bytes where a frame should begin"
        length, crc, seq = _HEADER.unpack_from(rest)
        if not 0 < length <= self._payload_max:
            return f"the frame gives its length as {length}"
        stop = HEADER_BYTES + length
        if stop > len(rest):
            return f"the frame ends {stop - len(rest)} bytes after the end of the file"
        covered = rest[HEADER_BYTES - _SEQ_BYTES : stop]
        if crc not in (zlib.crc32(covered), zlib.crc32(covered, self._before)):
            return "the CRC-32 does not match"
        return f"the frame carries sequence number {seq}"


def segment_names(directory: Path) -> list[str]:
    """The names of the segment files of a log, in order of their numbers."""
    found = (directory / "segments").glob("*.seg")
    return sorted(path.name for path in found if SEGMENT_NAME.fullmatch(path.name))


def first_payload(directory: Path) -> bytes:
    """The payload of record 0 if it stands in a whole frame, whatever its format; else nothing."""
    try:
        with open_plain(directory / "segments" / "00000000.seg") as file:
            head = file.read(HEADER_BYTES)
            if len(head) < HEADER_BYTES:
                return b""
            length, crc, seq = _HEADER.unpack(head)
            payload = file.read(min(length, _FIRST_BYTES_MAX))
    except OSError:
        return b""
    whole = seq == 0 and zlib.crc32(head[-_SEQ_BYTES:] + payload) == crc
    return payload if whole else b""
