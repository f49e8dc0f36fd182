"""Which logs a path means: a log directory, a batch's or an export's, a whole state directory.

A module because everything that reads for people takes any of these, and because what lies beside a
log (index, evidence) has one place, never inside it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from controller.core.errors import BadInput, RecordFailure
from controller.record.checkpoints import LAST
from controller.record.frame import HEADER_BYTES, decode, open_plain, read_limited
from controller.record.layout import CERTIFICATE, SEGMENTS, VKEY
from controller.record.note import NOTE_BYTES_MAX, Checkpoint, Note, NoteError

LOGS_MAX = 10_000
STATION = "station"
_FIRST = f"{SEGMENTS}/00000000.seg"
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Source:
    """One log: the name it is shown under (a batch's id, `station`) and its directory."""

    name: str
    directory: Path

    def beside(self, name: str) -> Path:
        """The place beside the log for `name`, which is made from it or belongs to it."""
        log = self.directory.resolve()
        return log.parent / (name if log.name == "log" else f"{log.name}.{name}")


def is_log(path: Path) -> bool:
    """Whether a directory has the shape of a log."""
    return (path / SEGMENTS).is_dir()


def source_of(path: Path) -> Source:
    """The one log a path means: a log directory, or one that holds `log/` (batch, export).

    Raises BadInput where there is none, or more than one.
    """
    for directory in (path, path / "log"):
        if is_log(directory):
            return Source(_name(directory), directory)
    if is_state(path):
        raise BadInput(
            "this is a state directory with more than one log",
            where=path,
            do=f"Name one: {path / STATION} or {path / 'batches'}/ID.",
        )
    raise BadInput("there is no such log directory", where=path,
                   do="Name a log directory, or a batch's.")  # fmt: skip


def to_verify(path: Path) -> Path:
    """The log directory to verify: also one from which all but a single file of a log is gone.

    Raises BadInput where nothing of a log is.
    """
    if not is_log(path) and not is_log(path / "log"):
        for directory in (path / "log", path):
            if any((directory / name).is_file() for name in (LAST, VKEY, CERTIFICATE)):
                return directory
    return source_of(path).directory


def is_state(path: Path) -> bool:
    """Whether a directory is a station's state directory."""
    return (path / "batches").is_dir() or is_log(path / STATION)


def sources_of(path: Path) -> list[Source]:
    """Every log a path means: of a state directory the station's, then the batches as they began.

    Raises BadInput if there is none, or more than LOGS_MAX.
    """
    if not is_state(path):
        return [source_of(path)]
    found = []
    for folder in (path / "batches").glob("*"):
        if is_log(folder / "log"):
            found.append(Source(folder.name, folder / "log"))
        if len(found) > LOGS_MAX:
            raise BadInput(f"there are more than {LOGS_MAX} batches", where=path,
                           do="Name one of them.")  # fmt: skip
    found.sort(key=lambda source: (begun_ms(source.directory), source.name))
    if is_log(path / STATION):
        found.insert(0, Source(STATION, path / STATION))
    if not found:
        raise BadInput("no batch and no station has a log here", where=path)
    return found


def first_record(directory: Path) -> dict[str, Any]:
    """Record 0. Raises RecordFailure if it cannot be read; its CRC-32 is not looked at."""
    path = directory / _FIRST
    try:
        with open_plain(path) as file:
            head = file.read(HEADER_BYTES)
            payload = file.read(_LENGTH.unpack_from(head)[0] & 0xFFFFF) if head else b""
        return decode(payload)
    except (OSError, struct.error, ValueError) as error:
        raise RecordFailure(f"the first record cannot be read: {error}", where=path) from error


def is_sealed(directory: Path) -> bool:
    """Whether the last checkpoint says that the log is finished. Its signature is not checked."""
    try:
        note = Note.parse(read_limited(directory / LAST, NOTE_BYTES_MAX))
        return Checkpoint.parse(note.text).sealed
    except (NoteError, RecordFailure, OSError):
        return False


def begun_ms(directory: Path) -> int:
    """When a log was opened, in milliseconds since 1970; 0 if that cannot be told."""
    try:
        return round(datetime.fromisoformat(first_record(directory)["time"]).timestamp() * 1_000)
    except (RecordFailure, ValueError, OverflowError):
        return 0


def _name(directory: Path) -> str:
    """What a log is called: its purpose, which for a batch is its id."""
    try:
        return str(first_record(directory)["data"]["purpose"])
    except (RecordFailure, KeyError):
        return directory.resolve().name
