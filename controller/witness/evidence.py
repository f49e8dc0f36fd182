"""What witnesses and a time-stamping authority gave, kept beside the log they speak of.

`evidence/witnessed` is the newest cosigned checkpoint with every cosignature of it that came;
`evidence/checkpoint.tsr` the time-stamp of the last one. A module because an inspector and the
next start of the station find them by these names. Never inside a log: they come after its seal.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from controller.core.errors import RecordFailure
from controller.record.checkpoints import LAST, read_last
from controller.record.files import FileLayer
from controller.record.frame import read_limited
from controller.record.layout import read_identity
from controller.record.note import NOTE_BYTES_MAX, Checkpoint, Note, NoteError
from controller.record.publish import Published
from controller.record.tiles import DirectoryHashes, consistency_proof
from controller.witness.cosign import Cosignature, Cosigned, WitnessKey, open_cosigned

WITNESSED, STAMPED, DISPUTED = "witnessed", "checkpoint.tsr", "disputed"
STAMP_BYTES_MAX = 64 * 1024


def evidence_of(log: Path) -> Path:
    """Where the evidence of a log directory lies: `batches/ID/evidence`, `station.evidence`."""
    return log.parent / ("evidence" if log.name == "log" else f"{log.name}.evidence")


class Evidence:
    """The evidence of one log; from any thread."""

    def __init__(self, log: Path, files: FileLayer) -> None:
        self.path, self._log = evidence_of(log), log
        self._files = files
        self._lock = threading.Lock()

    def witnessed(self, checkpoint: Cosigned, cosignature: Cosignature) -> None:
        """Keeps a cosignature; one of an older checkpoint than the newest is left aside.

        Raises OSError if it cannot be kept.
        """
        line, present = cosignature.line, checkpoint.checkpoint
        with self._lock:
            lines = [checkpoint.signed]
            kept = self._kept()
            if kept is not None:
                before = Checkpoint.parse(kept.text)
                if (before.size, before.sealed) > (present.size, present.sealed):
                    return
                if kept.text == checkpoint.text:
                    lines = [each for each in kept.signatures if each.name != line.name]
            self._keep(WITNESSED, Note(checkpoint.text, (*lines, line)).render())

    def stamped(self, response: bytes) -> None:
        """Keeps the time-stamp of the last checkpoint. Raises OSError."""
        with self._lock:
            self._keep(STAMPED, response)

    def disputed(self, seen: Cosigned) -> None:
        """Keeps the checkpoint that proves a rollback. Raises OSError."""
        with self._lock:
            self._keep(DISPUTED, seen.render())

    def _kept(self) -> Note | None:
        """The note that is kept, its cosignatures as they came; None if there is no good one."""
        try:
            data = read_limited(self.path / WITNESSED, NOTE_BYTES_MAX)
            open_cosigned(data, read_identity(self._log).log, ())
            return Note.parse(data, foreign=True)
        except (RecordFailure, NoteError):
            return None

    def _keep(self, name: str, data: bytes) -> None:
        self._files.make_dir(self.path)
        self._files.replace(self.path / name, data)


def published_in(log: Path) -> Published:
    """The last checkpoint of a log directory, its signature checked.

    Raises RecordFailure, NoteError.
    """
    data, found = read_last(log, read_identity(log).log)
    return Published(log, found.origin, found.size, found.root, data, found.sealed)


def consistency_in(log: Path, old: int, new: int) -> list[bytes]:
    """The proof between two sizes, from a log directory's tiles. Raises RecordFailure, BadInput."""
    return consistency_proof(DirectoryHashes(log).node, old, new)


def lacking(log: Path, witnesses: Sequence[WitnessKey], *, stamped: bool) -> Published | None:
    """The seal of a finished log that some witness has not cosigned, or that has no time-stamp.

    None if nothing is lacking, the log is not sealed, or it cannot be read: verify says why.
    """
    try:
        if (log / LAST).stat().st_size > NOTE_BYTES_MAX:
            return None
        found = published_in(log)
        if not found.sealed:
            return None
        if stamped and not (evidence_of(log) / STAMPED).exists():
            return found
        return None if set(witnesses) <= _witnessed(found, witnesses) else found
    except (OSError, RecordFailure, NoteError):
        return None


def _witnessed(found: Published, witnesses: Sequence[WitnessKey]) -> set[WitnessKey]:
    """Which witnesses have cosigned a checkpoint, by the evidence kept."""
    try:
        data = read_limited(evidence_of(found.directory) / WITNESSED, NOTE_BYTES_MAX)
        kept = open_cosigned(data, read_identity(found.directory).log, witnesses)
    except (OSError, RecordFailure, NoteError):
        return set()
    if (kept.checkpoint.size, kept.checkpoint.sealed) != (found.size, True):
        return set()
    return {each.key for each in kept.cosignatures}
