"""The process history of one log as a stream of blocks.

Values of tags and modulating writes come from the chunks a log's records name, each checked by its
digest. A module because every reader must see the same gaps: where nobody looked, each known tag
gets a row of quality `gap` and no value. Holds minutes of rows in memory, whatever the length.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from controller.core.clock import NS_PER_MS, Stamp
from controller.core.errors import RecordFailure
from controller.core.signal import Quality
from controller.record import history, tags
from controller.record.entry import stamp_of
from controller.record.frame import Damage, decode, read_frames, read_limited
from controller.record.layout import CHUNK_EVENTS, named_file

GAP = 3  # quality of a row that says: from here on nobody looked
QUALITIES: Final = [*(quality.name.lower() for quality in Quality), "gap"]
TAG, WRITE = 0, 1  # where a row comes from
SOURCES: Final = ["tag", "write"]
PENDING_MAX = 64  # chunks of writes that wait for the times of their scans
BLOCK: Final = np.dtype(
    [("time_ms", "<i8"), ("value", "<f8"), ("tag", "<i4"), ("offset_min", "<i2"),
     ("quality", "<i1"), ("reason", "<i1"), ("source", "<i1")]
)  # fmt: skip

Block = npt.NDArray[np.void]


def chunk_records(directory: Path, growing: bool = False) -> Iterator[dict[str, Any]]:
    """The records of a log that name history chunks, in order, each with its `seq`.

    `growing`: the log is being written, so a torn tail is its end. Raises RecordFailure at damage.
    """
    for frame in read_frames(directory):
        if isinstance(frame, Damage):
            if growing and frame.tail:
                return
            raise RecordFailure(
                frame.what,
                where=f"{directory}, {frame.where}",
                means="The process history after this place cannot be found.",
                do="Keep the directory as it is and run `cellwright log verify` on it.",
            )
        if b'"history.' in frame.payload:
            record = decode(frame.payload)
            if record["event"] in CHUNK_EVENTS:
                record["seq"] = frame.seq
                yield record


def chunk_of(directory: Path, record: dict[str, Any]) -> bytes:
    """The chunk a record names. Raises RecordFailure unless its digest is the recorded one."""
    try:
        named = named_file(record)
    except ValueError as error:
        raise RecordFailure(str(error), where=f"{directory}, record {record['seq']}") from error
    name, digest = named or ("", "")
    data = read_limited(directory / name, history.CHUNK_BYTES_MAX)
    if hashlib.sha256(data).hexdigest() != digest:
        raise RecordFailure(
            f"its contents are not those that record {record['seq']} names",
            where=directory / name,
            means="This part of the process history was changed or damaged. Nothing is made of it.",
            do="Keep the directory as it is and run `cellwright log verify` on it.",
        )
    return data


def tag_chunk(directory: Path, record: dict[str, Any]) -> tuple[tags.Cover, tags.Rows]:
    """The chunk of a `history.tags` record, whose cover and rows must be those it names."""
    data, where = chunk_of(directory, record), directory / str(record["data"]["file"])
    try:
        cover, rows = tags.decode(data)
    except RecordFailure as error:
        raise RecordFailure(error.what, where=where) from error
    said = (record["data"]["from"], record["data"]["to"], record["data"]["rows"])
    if said != (cover.begin, cover.end, len(rows)):
        raise RecordFailure(f"it does not cover what record {record['seq']} says", where=where)
    return cover, rows


@dataclass(slots=True)
class Names:
    """Tags in the order they were met, with their UCUM units."""

    names: list[str] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    _places: dict[str, int] = field(default_factory=dict)

    def place(self, name: str, unit: str = "") -> int:
        """The number of a tag."""
        found = self._places.get(name)
        if found is None:
            found = self._places[name] = len(self.names)
            self.names.append(name)
            self.units.append(unit)
        elif unit:
            self.units[found] = unit
        return found


@dataclass(frozen=True, slots=True)
class _Piece:
    """A chunk of writes, when its record was made, and of which field."""

    head: history.Summary
    rows: history.Rows
    made: Stamp
    generation: str


class Stream:
    """Reads one log's history; `names` fills while `blocks` runs."""

    def __init__(self, directory: Path, growing: bool = False, writes: bool = True) -> None:
        """`writes`: also every released change of an output. `growing`: see `chunk_records`."""
        self.directory, self.names = directory, Names()
        self._growing, self._writes = growing, writes
        self._pending: list[_Piece] = []
        self._group: list[tuple[tags.Cover, tags.Rows]] = []
        self._end_ms, self._before_ms, self._begin = -1, -1, ""
        self._known: set[int] = set()

    def blocks(self) -> Iterator[Block]:
        """Rows of dtype BLOCK, each block in order of time. Raises RecordFailure at damage."""
        for record in chunk_records(self.directory, self._growing):
            if record["event"] == "history.tags":
                self._group.append(tag_chunk(self.directory, record))
            elif self._writes:
                if self._group or len(self._pending) >= PENDING_MAX:
                    yield self._block()
                self._pending.append(self._piece(record))
            elif self._group:
                yield self._block()
        if self._group or self._pending:
            yield self._block()

    def _piece(self, record: dict[str, Any]) -> _Piece:
        data = chunk_of(self.directory, record)
        try:
            head, rows = history.decode(data)
        except RecordFailure as error:
            where = self.directory / str(record["data"]["file"])
            raise RecordFailure(error.what, where=where) from error
        made = stamp_of({"boot_id": "", "sync": "", **record})
        return _Piece(head, rows, made, str(record.get("source", "")).partition(".")[0])

    def _block(self) -> Block:
        group, pieces = self._group, self._pending
        self._group, self._pending = [], []
        parts = [self._of_tags(cover, rows) for cover, rows in group]
        covers = [cover for cover, _ in group]
        for piece in pieces:  # what an older field left was looked at by nobody
            mine = piece.generation == pieces[-1].generation
            parts.append(self._of_writes(piece, covers if mine else []))
        block = np.concatenate(parts)
        return block[np.argsort(block["time_ms"], kind="stable")]

    def _of_tags(self, cover: tags.Cover, rows: tags.Rows) -> Block:
        places = np.array(
            [self.names.place(*each) for each in zip(cover.tags, cover.units, strict=True)]
        )
        if cover.begin != self._begin:  # else another part of the tags at the same time
            self._begin, self._before_ms = cover.begin, self._end_ms
        self._end_ms = cover.end_ms
        missed = [] if cover.joined else [p for p in places.tolist() if p in self._known]
        self._known.update(places.tolist())
        block = np.zeros(len(rows) + len(missed), BLOCK)
        block["offset_min"] = cover.offset_min
        gap, block_rows = block[: len(missed)], block[len(missed) :]
        gap["time_ms"], gap["tag"], gap["quality"] = self._before_ms, missed, GAP
        gap["value"] = np.nan
        block_rows["time_ms"] = rows["time"] + cover.begin_ms
        block_rows["tag"] = places[rows["tag"]]
        for name in ("value", "quality", "reason"):
            block_rows[name] = rows[name]
        return block

    def _of_writes(self, piece: _Piece, covers: list[tags.Cover]) -> Block:
        head, rows = piece.head, piece.rows
        places = np.array([self.names.place(name) for name in head.outputs])
        block = np.zeros(len(rows), BLOCK)
        block["time_ms"] = _times(rows["scan"], piece, covers)
        block["offset_min"] = covers[-1].offset_min if covers else piece.made.offset_min
        block["tag"], block["value"] = places[rows["output"]], rows["value"]
        block["source"] = WRITE
        return block


def _times(
    scans: npt.NDArray[Any], piece: _Piece, covers: list[tags.Cover]
) -> npt.NDArray[np.int64]:
    """UTC in ms of scans: between two looks in proportion, beyond them by the period.

    Where nobody looked the last write is taken for as old as its record.
    """
    anchors: list[tuple[int, int]] = []
    for cover in covers:
        for anchor in ((cover.first_scan, cover.begin_ms), (cover.last_scan, cover.end_ms)):
            if not anchors or anchor[0] > anchors[-1][0]:
                anchors.append(anchor)
    if not anchors:
        anchors.append((piece.head.last_scan, piece.made.utc_ns // NS_PER_MS))
    period_ms = piece.head.scan_ns / NS_PER_MS
    (first, first_ms), (last, last_ms) = anchors[0], anchors[-1]
    found = np.interp(scans, *np.array(anchors, np.float64).T)
    found = np.where(scans < first, first_ms - (first - scans) * period_ms, found)
    found = np.where(scans > last, last_ms + (scans - last) * period_ms, found)
    times: npt.NDArray[np.int64] = np.rint(found).astype(np.int64)
    return times
