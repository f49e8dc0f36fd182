"""Taking up a log again: what it holds, and what an interrupted write left behind.

The law: only an invalid tail with nothing valid after it may be cut, never below a checkpoint; cut
bytes are kept in `torn/` and recorded; damage anywhere else is refused and nothing is touched. A
module because this is the only code that ever removes a byte from a log.
"""

from __future__ import annotations

import errno
import stat
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from controller.core.clock import NS_PER_MS
from controller.core.errors import RecordFailure
from controller.record.checkpoints import HISTORY, LAST, Issued, Problem, Torn, Walk, read_last
from controller.record.entry import Context
from controller.record.files import FileLayer, write_all
from controller.record.frame import (
    HEADER_BYTES,
    Damage,
    Frame,
    decode,
    open_plain,
    read_frames,
    read_limited,
    segment_files,
)
from controller.record.layout import (
    BLOB_BYTES_MAX,
    BLOBS,
    CHUNK_EVENTS,
    CHUNKS,
    NAMING,
    TORN,
    Identity,
    digest_name,
    named_file,
    opening_problem,
    read_identity,
)
from controller.record.note import NoteError
from controller.record.tiles import TILE_BYTES, Tiles, tile_path
from controller.record.tree import HASH_BYTES, Tree, leaf_hash

RENEWED_BYTES = 9 * 1024 * 1024  # more than one write can be
_TO_READ = (b'"boot_id":', *(f'"event":"{name}"'.encode() for name in NAMING))

@dataclass(slots=True)
class Survey:
    """What a log on the disk holds, up to its last whole record."""

    identity: Identity
    tree: Tree = field(default_factory=Tree)
    tiles: Tiles = field(default_factory=Tiles)
    context: Context = field(default_factory=Context)
    kind: str = ""
    purpose: str = ""
    chunks: int = 0
    segment: int = 0
    segment_bytes: int = 0
    utc_ns: int = 0
    named: set[str] = field(default_factory=set)
    last: Issued | None = None
    damage: Damage | None = None
    torn: Torn | None = None
    last_is_stale: bool = False
    tiles_missing: bool = False

    @property
    def has_tiles(self) -> bool:
        """Whether this log's format has tiles."""
        return self.context.version > 1

    @property
    def sealed(self) -> bool:
        """Whether the last checkpoint finished the log."""
        return self.last is not None and self.last.checkpoint.sealed


def survey(directory: Path) -> Survey:
    """Reads a whole log and checks everything a signature or a CRC covers. Touches nothing.

    Raises RecordFailure unless the log is whole or ends in an invalid tail above its last
    checkpoint.
    """
    identity = read_identity(directory)
    found = Survey(identity)
    walk = Walk(directory, identity.log, identity.origin)
    last: Frame | None = None
    for item in read_frames(directory):
        if isinstance(item, Damage):
            found.damage = item
            break
        _take(directory, found, item)
        _refuse(directory, *walk.reach(found.tree))
        last = item
    if last is not None:
        record = _read(directory, found, last)
        moment = datetime.fromisoformat(record["time"])
        found.utc_ns = round(moment.timestamp() * 1_000) * NS_PER_MS
    late = list(walk.finish(found.tree))
    found.last, found.torn = walk.last, walk.torn
    for damage in (found.damage, found.torn):
        if damage is not None and (late or not damage.tail):
            _refuse(directory, Problem(damage.where, damage.what), *late)
    _refuse(directory, *late)
    if found.last is None or found.tree.size == 0:
        _refuse(directory, Problem(HISTORY, "there is no checkpoint"))
    _compare_last(directory, found, walk)
    return found


def _take(directory: Path, found: Survey, frame: Frame) -> None:
    """Adds a record. Only those that open the log, change its context or name a file are read."""
    if frame.seq == 0 or any(mark in frame.payload for mark in _TO_READ):
        record = _read(directory, found, frame)
        if frame.seq == 0:
            found.kind, found.purpose = record["data"]["kind"], record["data"]["purpose"]
            found.context.version = record["v"]
        file = named_file(record)
        if file is not None:
            found.named.add(file[0])
            found.chunks += record["event"] in CHUNK_EVENTS
    number = int(frame.file[-12:-4])
    found.segment, found.segment_bytes = number, frame.offset + HEADER_BYTES + len(frame.payload)
    leaf = leaf_hash(frame.payload)
    found.tree.push(leaf)
    if found.has_tiles:
        _take_tiles(directory, found, leaf)


def _read(directory: Path, found: Survey, frame: Frame) -> dict[str, Any]:
    """A record with its context. Raises RecordFailure for what no writer of this log wrote."""
    try:
        record = found.context.fill(decode(frame.payload))
        if frame.seq == 0:
            what = opening_problem(record, found.identity)
            if what:
                raise ValueError(what)
        elif record["v"] != found.context.version:
            raise ValueError(f"the record has format {record['v']}, record 0 another")
        named_file(record)
        datetime.fromisoformat(record["time"])
    except (ValueError, KeyError, TypeError) as error:
        _refuse(directory, Problem(frame.where, str(error)))
        raise
    return record


def _take_tiles(directory: Path, found: Survey, leaf: bytes) -> None:
    """A tile holds the hashes of the tree, or it is missing: then `repair` writes it."""
    found.tiles.push(leaf)
    for level, index, data in found.tiles.take():
        path = directory / tile_path(level, index)
        if not path.exists():
            found.tiles_missing = True
        elif read_limited(path, TILE_BYTES) != data:
            _refuse(directory, Problem(tile_path(level, index), "it is not a tile of this tree"))


def _compare_last(directory: Path, found: Survey, walk: Walk) -> None:
    """The file `checkpoint` is the last entry of the history, or the one before it."""
    try:
        data, _ = read_last(directory, found.identity.log)
    except NoteError as error:
        _refuse(directory, Problem(LAST, str(error)))
        return
    issued = [entry.data for entry in (walk.last, walk.before_last) if entry is not None]
    if data not in issued:
        _refuse(directory, Problem(LAST, f"it is not the last checkpoint in {HISTORY}"))
    found.last_is_stale = data != issued[0]


def _refuse(directory: Path, *problems: Problem) -> None:
    if problems:
        raise RecordFailure(
            problems[0].what,
            where=f"{directory}, {problems[0].where}",
            means="The log is damaged where no interrupted write can have damaged it. "
            "Nothing was touched.",
            do="Keep the directory as evidence and run `cellwright log verify` on it.",
        )


def cannot(directory: Path, what: str, error: OSError) -> RecordFailure:
    """A refusal of the disk in words."""
    if error.errno in (errno.EAGAIN, errno.EACCES) and isinstance(error, BlockingIOError):
        what, do = "another process writes this log", "Stop the other one first."
    else:
        what, do = f"{what}: {error.strerror or error}", "Check the disk, its space and its rights."
    return RecordFailure(what, where=directory, means="Nothing is recorded there.", do=do)


def make_certain(directory: Path, files: FileLayer) -> None:
    """Puts on the disk what memory shows of the last writes, and every name. Raises OSError.

    What a killed process wrote was perhaps never synced. And after a sync that failed no other sync
    writes those pages, though they are read as if all were well: so the same bytes are written
    again before anything is built on them.
    """
    for path in (segment_files(directory)[-1], directory / HISTORY):
        if not path.stat().st_mode & stat.S_IWUSR:
            continue  # sealed and protected: it was certain before
        offset = max(path.stat().st_size - RENEWED_BYTES, 0)
        with open_plain(path) as file:
            file.seek(offset)
            data = file.read(RENEWED_BYTES)
        fd = files.open_within(path, offset)
        try:
            if data:
                write_all(files, fd, data)
            files.sync(fd)
        finally:
            files.close(fd)
    folders = [path for path in directory.rglob("*") if path.is_dir()]
    for folder in (directory.parent, directory, *folders):
        files.sync_dir(folder)


def repair(directory: Path, found: Survey, files: FileLayer) -> list[tuple[int, str]]:
    """Cuts an invalid tail, sets aside what no record names; (bytes, sha256) of each piece.

    Everything is in `torn/` before anything is cut, so an interrupted repair loses nothing and
    the next one finds the rest. Raises OSError when the disk refuses.
    """
    for path in sorted(directory.rglob("*.tmp")):
        files.remove(path)
    repair_tiles(directory, found, files)
    pieces: set[str] = set()
    if found.damage is not None:
        path = directory / found.damage.file
        tail = path.read_bytes()[found.damage.offset :].rstrip(b"\0")
        pieces |= _keep(directory, tail, files)
        if found.damage.offset == 0 and path != segment_files(directory)[0]:
            files.remove(path)
        else:
            files.cut(path, found.damage.offset)
    if found.torn is not None:
        path = directory / HISTORY
        pieces |= _keep(directory, path.read_bytes()[found.torn.offset :], files)
        files.cut(path, found.torn.offset)
    if found.last is not None and found.last_is_stale:
        files.replace(directory / LAST, found.last.data)
    for folder in (CHUNKS, BLOBS):
        for path in sorted((directory / folder).glob("*")):
            if f"{folder}/{path.name}" not in found.named:
                pieces |= _keep(directory, read_limited(path, BLOB_BYTES_MAX), files)
                files.remove(path)
    for path in sorted((directory / TORN).glob("*")):
        if f"{TORN}/{path.name}" not in found.named:
            pieces.add(f"{TORN}/{path.name}")
    if (directory / TORN).is_dir() and not any((directory / TORN).iterdir()):
        files.remove_dir(directory / TORN)
    return [((directory / name).stat().st_size, name.rpartition("-")[2]) for name in sorted(pieces)]


def repair_tiles(directory: Path, found: Survey, files: FileLayer) -> None:
    """Writes the full tiles that a crash kept from the disk. Raises OSError."""
    if not found.tiles_missing:
        return
    tiles = Tiles()
    for item in read_frames(directory):
        if isinstance(item, Damage):
            break
        tiles.push(leaf_hash(item.payload))
        for level, index, data in tiles.take():
            store_tile(directory, files, level, index, data)


def store_tile(directory: Path, files: FileLayer, level: int, index: int, data: bytes) -> None:
    """Writes a tile, full or partial, unless it is there."""
    path = directory / tile_path(level, index, len(data) // HASH_BYTES)
    if not path.exists():
        files.make_dir(path.parent)
        files.replace(path, data)


def _keep(directory: Path, piece: bytes, files: FileLayer) -> set[str]:
    """Stores bytes that are about to be cut under the name of their digest."""
    if not piece:
        return set()
    name = digest_name(TORN, piece)
    files.make_dir(directory / TORN)
    files.replace(directory / name, piece)
    return {name}
