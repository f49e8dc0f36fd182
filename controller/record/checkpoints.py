"""The files `checkpoint` (the last one) and `checkpoints` (every one, as they were issued).

Each entry of `checkpoints` names the hash of the entry before it, so the last signature covers the
whole history. A module because verifier and recovery walk it beside the growing tree and must come
to the same verdict.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from controller.core.errors import RecordFailure
from controller.record.frame import open_plain, read_limited
from controller.record.keys import open_note
from controller.record.note import NOTE_BYTES_MAX, Checkpoint, Note, NoteError, VerifierKey
from controller.record.tree import Tree

LAST = "checkpoint"
HISTORY = "checkpoints"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a log: which record, checkpoint or file, and what."""

    where: str
    what: str


@dataclass(frozen=True, slots=True)
class Issued:
    """One checkpoint as it lies in `checkpoints`."""

    index: int
    offset: int
    data: bytes
    checkpoint: Checkpoint

    @property
    def where(self) -> str:
        """The checkpoint as a problem names it."""
        size = self.checkpoint.size
        return f"checkpoint {self.index} of size {size} ({HISTORY}, byte {self.offset})"

    @property
    def digest(self) -> bytes:
        """SHA-256 of the signed note: what the next checkpoint names as `previous`."""
        return hashlib.sha256(self.data).digest()


@dataclass(frozen=True, slots=True)
class Torn:
    """A place in `checkpoints` that is not an entry; `tail` if nothing follows it."""

    index: int
    offset: int
    what: str
    tail: bool

    @property
    def where(self) -> str:
        """The place as a problem names it."""
        return f"checkpoint {self.index} ({HISTORY}, byte {self.offset})"


def read_last(directory: Path, key: VerifierKey) -> tuple[bytes, Checkpoint]:
    """The file `checkpoint`, its signature checked. Raises RecordFailure or NoteError."""
    data = read_limited(directory / LAST, NOTE_BYTES_MAX)
    return data, Checkpoint.parse(open_note(data, (key,)))


def read_history(directory: Path) -> Iterator[Issued | Torn]:
    """Every entry of `checkpoints` in order, then the first damage if there is any.

    Signatures are not checked here. Raises RecordFailure if the file cannot be read.
    """
    try:
        with open_plain(directory / HISTORY) as file:
            yield from _entries(file)
    except OSError as error:
        where = directory / HISTORY
        raise RecordFailure(f"cannot be read: {error.strerror}", where=where) from error


def _entries(file: BinaryIO) -> Iterator[Issued | Torn]:
    index, offset, origin = 0, 0, b""
    while True:
        block, whole = _next_block(file)
        if not block:
            return
        what = "" if whole else "the checkpoint is not complete"
        try:
            checkpoint = Checkpoint.parse(Note.parse(block[:-1]).text) if whole else None
        except NoteError as error:
            checkpoint, what = None, str(error)
        if checkpoint is None:
            yield Torn(index, offset, what, not _entry_in(block[1:] + file.read(), origin))
            return
        yield Issued(index, offset, block[:-1], checkpoint)
        index, offset, origin = index + 1, offset + len(block), checkpoint.origin.encode()


def _entry_in(rest: bytes, origin: bytes) -> bool:
    """Whether a whole entry of a log stands somewhere in bytes that do not begin with one."""
    at = rest.find(b"\n" + origin + b"\n") if origin else 0
    while at >= 0:
        block, whole = _next_block(BytesIO(rest[at + 1 :]))
        with suppress(NoteError):
            if whole and Checkpoint.parse(Note.parse(block[:-1]).text):
                return True
        at = rest.find(b"\n" + origin + b"\n", at + 1) if origin else -1
    return not origin and bool(rest)


def _next_block(file: BinaryIO) -> tuple[bytes, bool]:
    """The bytes up to and with the second empty line, and whether it was found."""
    block, empty = b"", 0
    while empty < 2 and len(block) <= NOTE_BYTES_MAX:
        line = file.readline(NOTE_BYTES_MAX)
        if not line:
            return block, False
        block += line
        empty += line == b"\n"
    return block, empty == 2


class Walk:
    """Goes through `checkpoints` beside a tree that grows record by record.

    After `finish`, `last` and `before_last` are the last two good entries, `count` their number
    and `torn` the damage at the end, if there is one.
    """

    def __init__(self, directory: Path, key: VerifierKey, origin: str) -> None:
        self.last: Issued | None = None
        self.before_last: Issued | None = None
        self.torn: Torn | None = None
        self.count = 0
        self._key, self._origin = key, origin
        self._entries = read_history(directory)
        self._ahead = next(self._entries, None)
        self._next = self._pull()

    def reach(self, tree: Tree) -> Iterator[Problem]:
        """The problems of the checkpoints at the tree's present size."""
        while self._next is not None and self._next.checkpoint.size <= tree.size:
            entry = self._next
            yield from self._check(entry)
            if entry.checkpoint.size != tree.size:
                yield Problem(entry.where, f"it comes after the log had {tree.size} records")
            elif entry.checkpoint.root != tree.root():
                first = self.last.checkpoint.size if self.last else 0
                yield Problem(
                    entry.where,
                    f"its root is not the root of the records; one of records {first} to "
                    f"{tree.size - 1} was changed",
                )
            self.before_last, self.last = self.last, entry
            self.count += 1
            self._next = self._pull()

    def finish(self, tree: Tree) -> Iterator[Problem]:
        """The problems that show only when there are no more records."""
        while self._next is not None:
            entry = self._next
            yield from self._check(entry)
            yield Problem(
                entry.where,
                f"it covers {entry.checkpoint.size} records, the log holds {tree.size}",
            )
            self.before_last, self.last = self.last, entry
            self.count += 1
            self._next = self._pull()
        if self.last is not None:
            yield from self._signature(self.last)

    def _pull(self) -> Issued | None:
        """The next entry. A last one that nobody signed is what a torn write left."""
        entry, self._ahead = self._ahead, next(self._entries, None)
        if isinstance(entry, Torn):
            self.torn = entry
            return None
        if entry is not None and self._ahead is None and list(self._signature(entry)):
            self.torn = Torn(entry.index, entry.offset, "the checkpoint is not signed", True)
            return None
        return entry

    def _check(self, entry: Issued) -> Iterator[Problem]:
        last, found = self.last, entry.checkpoint
        if found.origin != self._origin:
            yield Problem(entry.where, f"it is of another log, {found.origin!r}")
        if found.previous != (last.digest if last else None):
            yield from self._signature(last) if last else ()
            yield from self._signature(entry)
            before = last.where if last else "the beginning of the log"
            yield Problem(entry.where, f"it does not follow {before}")
        if last is not None and (
            last.checkpoint.sealed
            or found.size < last.checkpoint.size
            or (found.size == last.checkpoint.size and not found.sealed)
        ):
            yield Problem(entry.where, f"it cannot come after {last.where}")

    def _signature(self, entry: Issued) -> Iterator[Problem]:
        try:
            open_note(entry.data, (self._key,))
        except NoteError as error:
            yield Problem(entry.where, str(error))
