"""The state directory: `station/`, `batches/ID/`, `keys/`, the last field's number in `generation`
and the open batch's name in `current`.

A module because `current` is read first after every start: with a batch open the environment goes
on, so the answer must survive a crash, and an unreadable answer counts as open.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from pathlib import Path
from typing import Final

from controller.core.errors import BadInput, RecordFailure, Refused
from controller.record.checkpoints import LAST
from controller.record.files import DurableFiles, FileLayer
from controller.record.frame import read_limited, segment_files
from controller.record.note import NOTE_BYTES_MAX, Checkpoint, Note, NoteError
from controller.record.patient import PatientFiles
from controller.record.space import Budget, check_space

BATCH_ID: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
GENERATION_MAX: Final = 10**17  # a file that says more is damaged
ROOM_BYTES: Final = 1 << 20  # [assumed] several minutes of records
UNREADABLE: Final = "?"  # not a batch id: `current` is there, but does not say which batch


class StateDir:
    """The paths under one state directory and the durable name of the open batch."""

    def __init__(
        self, path: Path, files: FileLayer | None = None, twin: Path | None = None
    ) -> None:
        """`twin` names the open batch once more, where no disk can be missing (see `live`)."""
        self.path, self.twin = path, twin
        self.budget = Budget()  # what a batch may write
        self._files = files or DurableFiles()
        self._current, self._generation = path / "current", path / "generation"

    @classmethod
    def live(cls, path: Path, shm: Path) -> StateDir:
        """The state directory of a station that runs, with its twin in shared memory.

        The twin lasts as long as the machine is up. It tells a directory whose disk is not mounted
        from one that never had a batch.
        """
        where = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
        return cls(path, PatientFiles(), shm / f"cellwright-{where}.open")

    @property
    def station(self) -> Path:
        """The station's log directory."""
        return self.path / "station"

    @property
    def emergency(self) -> Path:
        """Where records go while a log is down."""
        return self.path / "emergency"

    @property
    def keys(self) -> Path:
        """Where `keys.Keys.in_directory` keeps the secrets; never inside a log."""
        return self.path / "keys"

    def batch(self, batch_id: str) -> Path:
        """The directory of a batch. Raises BadInput for an id that cannot be a file name."""
        if not BATCH_ID.fullmatch(batch_id):
            raise BadInput(
                f"{batch_id[:80]!r} cannot be a batch id",
                do="Use up to 64 letters, digits, '.', '_' and '-', beginning and ending with a "
                "letter or digit.",
            )
        return self.path / "batches" / batch_id

    def batch_log(self, batch_id: str) -> Path:
        """The log directory of a batch. Raises BadInput for a bad id."""
        return self.batch(batch_id) / "log"

    def current(self) -> str | None:
        """The open batch: its id, None if none is open, UNREADABLE if it cannot be told.

        UNREADABLE counts as open: only None allows a cold start. A name that is gone while a log
        of a batch is not sealed cannot be told either, nor one that is `missing` here.
        """
        try:
            text = self._current.read_bytes()[:256].decode("ascii")
        except FileNotFoundError:
            none = self._settled() and not self._unsealed() and not self.missing()
            if none:
                self._unmark()
            return None if none else UNREADABLE
        except (OSError, UnicodeDecodeError):
            return UNREADABLE
        batch_id = text.removesuffix("\n")
        whole = text.endswith("\n") and BATCH_ID.fullmatch(batch_id)
        return batch_id if whole else UNREADABLE

    def missing(self) -> str:
        """The batch the twin names and whose folder is not here: this is not the directory it was
        opened in. Empty if there is none."""
        try:
            text = self.twin.read_bytes()[:256].decode("ascii").strip() if self.twin else ""
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError):
            return UNREADABLE
        if not text:
            return ""
        named = BATCH_ID.fullmatch(text)
        return "" if named and self.batch(text).is_dir() else text

    def check_space(self) -> None:
        """Raises Refused, with the figures in what to do, if a batch would find too little."""
        check_space(self._files, self.path, self.budget)

    def mark(self, batch_id: str) -> None:
        """Names the open batch in the twin too; without room there, only this guard is missing."""
        if self.twin is not None:
            with contextlib.suppress(OSError):
                self.twin.write_text(f"{batch_id}\n", "ascii")

    @property
    def marked(self) -> bool:
        """Whether the twin names a batch: it is open, and no disk has to be asked."""
        with contextlib.suppress(OSError):
            return self.twin is not None and self.twin.stat().st_size > 0
        return False

    def _unmark(self) -> None:
        if self.twin is not None:
            with contextlib.suppress(OSError):
                self.twin.unlink()

    def open_batch(self, batch_id: str) -> None:
        """Makes the batch's folder, then writes the id, both durably.

        So a name without a folder is a loss, never a beginning. Raises Refused if a batch is open
        or the disk has too little space for one, RecordFailure if it cannot.
        """
        folder = self.batch(batch_id)
        found = self.current()
        if found is not None:
            named = "a batch that cannot be told" if found == UNREADABLE else f"batch {found}"
            raise Refused(
                f"{named} is open", where=self._current, do="Close it before another is opened."
            )
        self.check_space()
        try:
            self._files.make_dir(folder)
            self._files.replace(self._current, f"{batch_id}\n".encode())
        except OSError as error:
            with contextlib.suppress(OSError):  # the name may be there, and not be durable
                self._files.remove(self._current)
            raise self._failure(error) from error
        self.mark(batch_id)

    def close_batch(self) -> None:
        """Removes the name durably; no error if none is open. RecordFailure if it cannot be."""
        try:
            self._files.remove(self._current)
        except OSError as error:
            raise self._failure(error) from error
        self._unmark()

    def generation(self) -> int:
        """The last number a field was started with; 0 without one, or if it cannot be read."""
        try:
            number = int(self._generation.read_bytes()[:32])
        except (OSError, ValueError):
            return 0
        return number if 0 < number < GENERATION_MAX else 0

    def keep_generation(self, number: int) -> None:
        """Writes the number durably. Raises OSError if it cannot be."""
        self._files.make_dir(self.path)
        self._files.replace(self._generation, f"{number}\n".encode())

    def has_room(self) -> bool:
        """Whether a disk that failed takes something again: tried with a file, which goes."""
        probe, room, files = self.path / "room", False, self._files.fresh()
        with contextlib.suppress(OSError):
            files.remove(probe)
            files.store(probe, bytes(ROOM_BYTES))
            room = True
        with contextlib.suppress(OSError):
            files.remove(probe)
        return room

    def may_be_open(self, directory: Path) -> bool:
        """Whether a log directory may be unsealed: it is the open batch's, or the station's."""
        where = directory.resolve()
        if where == self.station.resolve():
            return True
        found = self.current()
        if found is None or found == UNREADABLE:
            return False
        return where == self.batch_log(found).resolve()

    def _settled(self) -> bool:
        """Whether `current` is absent because nothing is there, not because it is out of reach."""
        return not self._current.is_symlink() and (self.path.is_dir() or not self.path.exists())

    def _unsealed(self) -> bool:
        """Whether a batch has a log that is not sealed, or it cannot be told."""
        try:
            logs = [each / "log" for each in (self.path / "batches").iterdir()]
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return any(bool(segment_files(log)) and not says_sealed(log) for log in logs)

    def _failure(self, error: OSError) -> RecordFailure:
        return RecordFailure(
            f"which batch is open cannot be written: {error.strerror}",
            where=self._current,
            means="No batch was opened or closed.",
            do="Check the disk, its space and its rights.",
        )


def says_sealed(log: Path) -> bool:
    """Whether a log's last checkpoint says so. Its signature is not checked."""
    try:
        note = Note.parse(read_limited(log / LAST, NOTE_BYTES_MAX))
        return Checkpoint.parse(note.text).sealed
    except (NoteError, RecordFailure, OSError):
        return False


def must_be_sealed(directory: Path) -> bool:
    """Whether a log directory must be sealed, judged by the state directory it lies in.

    A copy that lies in none must be: only `current` can say that a log is still being written.
    """
    where = directory.resolve()
    if where.name == "log" and where.parent.parent.name == "batches":
        return not StateDir(where.parent.parent.parent).may_be_open(where)
    return not (where.name == "station" and StateDir(where.parent).may_be_open(where))
