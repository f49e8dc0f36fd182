"""Copies a log byte for byte, to be handed over: whole, or up to its last checkpoint.

A module because a copy of a log that is being written must be of one moment: its last checkpoint
says which records, and those say which files. Nothing but a log's own layout is ever copied.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from controller.core.errors import RecordFailure
from controller.record.checkpoints import HISTORY, LAST, Torn, read_history, read_last
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
    CERTIFICATE,
    CHUNKS,
    SEGMENTS,
    VKEY,
    named_file,
    read_identity,
)
from controller.record.note import NOTE_BYTES_MAX, NoteError
from controller.record.tiles import TILE_BYTES, WIDTH, tile_path, tiles_of

COPY_BYTES: Final = 1 << 20
_OF_A_LOG: Final = re.compile(
    r"segments/[0-9]{8}\.seg|checkpoints?|vkey|key\.cert|history/[0-9]{8}\.chunk"
    r"|(blobs|torn)/sha256-[0-9a-f]{64}|tile/[0-9]{1,2}/(x[0-9]{3}/)*[0-9]{3}(\.p/[0-9]{1,3})?"
)


def copy_log(directory: Path, log: Path) -> None:
    """A log up to its last checkpoint.

    Of a sealed log that is every byte. Raises RecordFailure for what cannot be read.
    """
    for folder in (SEGMENTS, CHUNKS, BLOBS):
        (log / folder).mkdir(parents=True)
    identity = read_identity(directory)
    try:
        note, last = read_last(directory, identity.log)
    except NoteError as error:
        raise RecordFailure(str(error), where=directory / LAST) from error
    for name in (VKEY, CERTIFICATE):
        put(log / name, read_limited(directory / name, NOTE_BYTES_MAX))
    put(log / LAST, note)
    with (log / HISTORY).open("xb") as file:
        for entry in read_history(directory):
            if isinstance(entry, Torn):
                break
            file.write(entry.data + b"\n")
            if entry.data == note:
                break
    end: Frame | None = None
    for item in frames_until(directory, last.size):
        end = item
        if b'"sha256":' in item.payload:
            named = _named(item)
            if named and not (log / named).exists():
                put(log / named, read_limited(directory / named, BLOB_BYTES_MAX))
    if end is None or end.seq + 1 != last.size:
        raise RecordFailure(f"record {end.seq + 1 if end else 0} cannot be read", where=directory)
    for path in segment_files(directory):
        name = f"{SEGMENTS}/{path.name}"
        if name <= end.file:
            whole = name < end.file
            _copy_file(
                path, log / name, -1 if whole else end.offset + HEADER_BYTES + len(end.payload)
            )
    for level, index, width in tiles_of(last.size):
        tile = tile_path(level, index, width)
        if (width == WIDTH or last.sealed) and (directory / tile).is_file():
            put(log / tile, read_limited(directory / tile, TILE_BYTES))


def frames_until(directory: Path, size: int) -> Iterator[Frame]:
    """The first `size` records of a log, or those before a damage."""
    for item in islice(read_frames(directory), size):
        if isinstance(item, Damage):
            return
        yield item


def _named(frame: Frame) -> str:
    try:
        found = named_file(decode(frame.payload))
    except (ValueError, KeyError, AttributeError):
        return ""  # verification says what is wrong with it
    return found[0] if found else ""


def copy_as_is(directory: Path, log: Path) -> list[str]:
    """Every plain file of a log's layout, and the names of what is left out."""
    left_out = []
    for folder in (SEGMENTS, CHUNKS, BLOBS):
        (log / folder).mkdir(parents=True)
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode) and _OF_A_LOG.fullmatch(name):
            _copy_file(path, log / name, -1)
        elif not stat.S_ISDIR(mode):
            left_out.append(name)
    return left_out


def _copy_file(path: Path, target: Path, size: int) -> None:
    """The first `size` bytes of a plain file, or all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    left = path.stat().st_size if size < 0 else size
    with open_plain(path) as source, target.open("xb") as file:
        while left > 0:
            data = source.read(min(left, COPY_BYTES))
            if not data:
                break
            file.write(data)
            left -= len(data)


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(data)
