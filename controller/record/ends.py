"""The ends of a log on the disk: how it is made, taken up again, and finished.

A module because both must survive a crash at any step: a directory is no log before its first
segment is there, and a log whose sealed checkpoint is written is finished whatever else is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from controller.core.clock import Stamp
from controller.core.errors import BadInput, RecordFailure
from controller.core.events import Event
from controller.record.checkpoints import HISTORY, LAST
from controller.record.entry import Context
from controller.record.files import FileLayer
from controller.record.frame import pack, segment_files
from controller.record.keys import Keys, Signer
from controller.record.layout import (
    BLOBS,
    CERTIFICATE,
    CHUNKS,
    KINDS,
    SEGMENTS,
    VKEY,
    read_identity,
    refuse_used,
)
from controller.record.note import PURPOSE_MAX, Checkpoint, good_purpose
from controller.record.recovery import (
    Survey,
    cannot,
    make_certain,
    repair,
    repair_tiles,
    store_tile,
    survey,
)
from controller.record.segments import SegmentWriter
from controller.record.tiles import FOLDER
from controller.record.tree import Tree, leaf_hash


def write_new(
    directory: Path, keys: Keys, stamp: Stamp, kind: str, purpose: str, files: FileLayer
) -> None:
    """Writes record 0 (`log.opened`) and its checkpoint, durably; the first segment last.

    Raises BadInput if there is a log already or `kind` is unknown, RecordFailure if the directory
    cannot be written.
    """
    if kind not in KINDS:
        raise BadInput(f"a log is of kind {' or '.join(KINDS)}, not {kind!r}")
    if not good_purpose(purpose):
        raise BadInput(f"a log cannot be for {purpose[:PURPOSE_MAX]!r}")
    try:
        refuse_used(directory)
    except OSError as error:
        raise cannot(directory, "the log cannot be made", error) from error
    signer, certificate = keys.issue(kind, purpose)
    data = {
        "kind": kind,
        "purpose": purpose,
        "key": str(keys.device.verifier),
        "vkey": str(signer.verifier),
    }
    payload = Context().encode(Event("log.opened", stamp, data=data))
    tree = Tree()
    tree.push(leaf_hash(payload))
    checkpoint = Checkpoint(signer.verifier.name, 1, tree.root(), None, sealed=False)
    note = signer.sign(checkpoint.text()).render()
    try:
        for folder in (SEGMENTS, CHUNKS, BLOBS):
            files.make_dir(directory / folder)
        files.replace(directory / VKEY, f"{signer.verifier}\n".encode())
        files.replace(directory / CERTIFICATE, certificate.render())
        files.replace(directory / HISTORY, note + b"\n")
        files.replace(directory / LAST, note)
        files.replace(directory / SEGMENTS / "00000000.seg", pack(0, payload))
    except OSError as error:
        raise cannot(directory, "the log cannot be made", error) from error


@dataclass(frozen=True, slots=True)
class Opened:
    """A log taken up: what it holds, its key, the pieces set aside, and its open files."""

    found: Survey
    signer: Signer
    pieces: list[tuple[int, str]]
    segment: SegmentWriter
    history_fd: int


def take_up(directory: Path, keys: Keys, files: FileLayer, segment_bytes: int) -> Opened:
    """Opens a log for writing after it was read whole, with an invalid tail cut.

    Raises RecordFailure, and touches nothing, if the log is sealed, of another format, written by
    another process, or damaged anywhere but in its tail.
    """
    history_fd = -1
    try:
        if not (directory / HISTORY).is_file():
            raise RecordFailure("is not a log: it has no checkpoints", where=directory)
        history_fd = files.open_append(directory / HISTORY)
        found = survey(directory)
        make_certain(directory, files)
        if found.sealed:
            finish_seal(directory, found, files)
            keys.destroy(found.identity.log)
            raise RecordFailure(
                "the log is sealed", where=directory, means="Nothing can be added to it."
            )
        signer = keys.recall(found.identity.log, f"{found.kind} {found.purpose}")
        pieces = repair(directory, found, files)
        folder, fill = directory / SEGMENTS, found.segment_bytes
        segment = SegmentWriter(files, folder, found.segment, fill, segment_bytes)
    except (OSError, RecordFailure) as error:
        if history_fd >= 0:
            files.close(history_fd)
        if isinstance(error, OSError):
            raise cannot(directory, "the log cannot be opened", error) from error
        raise
    return Opened(found, signer, pieces, segment, history_fd)


def finish_seal(directory: Path, found: Survey, files: FileLayer) -> None:
    """What a crash kept from a log that was being sealed: its tiles, its last checkpoint."""
    if found.last is None or not found.last_is_stale:
        return
    repair_tiles(directory, found, files)
    for level, index, data in found.tiles.partial():
        store_tile(directory, files, level, index, data)
    files.replace(directory / LAST, found.last.data)


def finish(directory: Path, keys: Keys, files: FileLayer) -> None:
    """What a crash kept from a sealed log: its key is destroyed, its files are read-only.

    Nothing where that was done. Raises RecordFailure.
    """
    keys.destroy(read_identity(directory).log)
    protect(directory, files)


def protect(directory: Path, files: FileLayer) -> None:
    """Makes the files of a sealed log read-only. Raises RecordFailure."""
    paths = [directory / name for name in (LAST, HISTORY, VKEY, CERTIFICATE)]
    tiles = [path for path in (directory / FOLDER).rglob("*") if path.is_file()]
    try:
        for path in (*paths, *segment_files(directory), *tiles):
            files.protect(path)
    except OSError as error:
        raise cannot(directory, "the sealed log cannot be made read-only", error) from error
