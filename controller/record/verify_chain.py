"""Goes through `checkpoints` beside the tree that grows: each one's root, and the chain they form.

A module because of its shortcut: a checkpoint that is right has bytes that can be foretold from the
tree and the one before it, so it is compared, not parsed; only one that differs is taken apart to
say why. A long log has a checkpoint for every few records.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from controller.core.errors import RecordFailure
from controller.record.checkpoints import HISTORY, Problem
from controller.record.frame import open_plain
from controller.record.keys import open_note
from controller.record.note import NOTE_BYTES_MAX, Checkpoint, Note, NoteError, VerifierKey
from controller.record.verify_frames import NEVER

_SIGNATURE_BYTES = 4 + 64


@dataclass(frozen=True, slots=True)
class Entry:
    """One checkpoint as it lies in `checkpoints`; `data` is the signed note."""

    index: int
    offset: int
    data: bytes
    size: int
    sealed: bool

    @property
    def where(self) -> str:
        """The checkpoint as a problem names it."""
        return f"checkpoint {self.index} of size {self.size} ({HISTORY}, byte {self.offset})"


class Chain:
    """The checkpoints of a log in order. `next_size` is the size the next one covers.

    `torn` is the first place that is no checkpoint, `last` the last entry and `count` how many
    there were. Raises RecordFailure if the file cannot be read.
    """

    def __init__(self, directory: Path, key: VerifierKey, *, deep: bool) -> None:
        self.last: Entry | None = None
        self.torn: Problem | None = None
        self.count = 0
        self.next_size = NEVER
        self._key, self._deep = key, deep
        self._signed_by = f"\N{EM DASH} {key.name} ".encode()
        self._offset = 0
        self._next: Entry | None = None
        try:
            self._file: BinaryIO = open_plain(directory / HISTORY)
        except OSError as error:
            where = directory / HISTORY
            raise RecordFailure(f"cannot be read: {error.strerror}", where=where) from error
        self._pull()

    def close(self) -> None:
        """Lets go of the file."""
        self._file.close()

    def reach(self, size: int, root: Callable[[], bytes]) -> Iterator[Problem]:
        """The problems of the checkpoints that stand at the tree's present size, or below it."""
        while self._next is not None and self._next.size <= size:
            entry = self._next
            if entry.size != size:
                yield from self._look_into(entry)
                yield Problem(entry.where, f"it comes after the log had {size} records")
            else:
                yield from self._compare(entry, root())
            self._advance(entry)

    def finish(self, size: int) -> Iterator[Problem]:
        """The problems that show only when there are no more records than `size`."""
        while self._next is not None:
            entry = self._next
            yield from self._look_into(entry)
            yield Problem(entry.where, f"it covers {entry.size} records, the log holds {size}")
            self._advance(entry)
        if self.last is not None and not self._deep:
            yield from self._signature(self.last)

    def _advance(self, entry: Entry) -> None:
        self.last = entry
        self.count += 1
        self._pull()

    def _compare(self, entry: Entry, root: bytes) -> Iterator[Problem]:
        """Whether the entry is the one checkpoint that can stand here."""
        before = base64.b64encode(_digest(self.last)).decode() if self.last else "none"
        root64 = base64.b64encode(root).decode()
        end = "sealed\n" if entry.sealed else ""
        wanted = f"{self._key.name}\n{entry.size}\n{root64}\nprevious {before}\n{end}\n".encode()
        good = entry.data.startswith(wanted) and self._one_signature(entry.data[len(wanted) :])
        if not good or not self._may_follow(entry):
            yield from self._look_into(entry)
            if root64.encode() != entry.data.split(b"\n", 3)[2]:
                first = self.last.size if self.last else 0
                yield Problem(
                    entry.where,
                    f"its root is not the root of the records; one of records {first} to "
                    f"{entry.size - 1} was changed",
                )
        elif self._deep:
            yield from self._signature(entry)

    def _one_signature(self, line: bytes) -> bool:
        """Whether `line` is one signature line by the log's key, in its one written form."""
        encoded = line[len(self._signed_by) : -1]
        try:
            data = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            return False
        return (
            line == self._signed_by + base64.b64encode(data) + b"\n"
            and len(data) == _SIGNATURE_BYTES
            and data[:4] == self._key.key_hash
        )

    def _may_follow(self, entry: Entry) -> bool:
        last = self.last
        if last is None:
            return entry.size == 1
        grown = entry.size > last.size or (entry.size == last.size and entry.sealed)
        return grown and not last.sealed

    def _look_into(self, entry: Entry) -> Iterator[Problem]:
        """What is wrong with an entry by itself and in its place in the chain."""
        try:
            found, last = Checkpoint.parse(Note.parse(entry.data).text), self.last
        except NoteError as error:
            yield Problem(entry.where, str(error))
            return
        shown = self._deep
        if found.origin != self._key.name:
            yield Problem(entry.where, f"it is of another log, {found.origin!r}")
        if found.previous != (_digest(last) if last else None):
            if not shown and last is not None:
                yield from self._signature(last)
            shown = True
            before = last.where if last else "the beginning of the log"
            yield Problem(entry.where, f"it does not follow {before}")
        if not self._may_follow(entry):
            before = f"after {last.where}" if last else "first; the first covers record 0 alone"
            yield Problem(entry.where, f"it cannot come {before}")
        below = entry.data[len(found.text().encode()) + 1 :]
        if not self._one_signature(below):
            yield Problem(entry.where, "it has not one signature, by the log's key")
        if shown:
            yield from self._signature(entry)

    def _signature(self, entry: Entry) -> Iterator[Problem]:
        try:
            open_note(entry.data, (self._key,))
        except NoteError as error:
            yield Problem(entry.where, str(error))

    def _pull(self) -> None:
        """Reads the next entry, which must at least look like a checkpoint."""
        self._next, self.next_size = None, NEVER
        block, whole = self._block()
        if not block:
            return
        data = block[:-1]
        lines = data.split(b"\n", 5)
        if not whole or len(lines) < 6 or not lines[1].isdigit() or len(lines[1]) > 18:
            what = "is no checkpoint" if whole else "the checkpoint is not complete"
            where = f"checkpoint {self.count} ({HISTORY}, byte {self._offset})"
            self.torn = Problem(where, what)
            return
        self._next = Entry(self.count, self._offset, data, int(lines[1]), lines[4] == b"sealed")
        self.next_size = self._next.size
        self._offset += len(block)

    def _block(self) -> tuple[bytes, bool]:
        """The bytes up to and with the second empty line, and whether it was found."""
        block, empty, readline = b"", 0, self._file.readline
        while empty < 2 and len(block) <= NOTE_BYTES_MAX:
            line = readline(NOTE_BYTES_MAX)
            if not line:
                return block, False
            block += line
            empty += line == b"\n"
        return block, empty == 2


def _digest(entry: Entry) -> bytes:
    return hashlib.sha256(entry.data).digest()
