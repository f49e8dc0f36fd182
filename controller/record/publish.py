"""What follows once records are durable: their checkpoint, their tiles, and those who are told.

A module because none of it may make a record wait: it runs behind the writer (`FileLayer.later`),
in the order the writer asked for it. What fails here is told to the writer at its next sync.
"""

from __future__ import annotations

import errno
import hashlib
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from controller.core.errors import RecordFailure
from controller.record.checkpoints import LAST
from controller.record.files import FileLayer, write_all
from controller.record.frame import read_limited
from controller.record.keys import Signer
from controller.record.note import Checkpoint
from controller.record.recovery import Survey, store_tile
from controller.record.tiles import TILE_BYTES, consistency_proof, node_in, tile_path


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint that is durable, with its tiles. `note` is the signed note, `root` 32 bytes."""

    directory: Path
    origin: str
    size: int
    root: bytes
    note: bytes
    sealed: bool


class Publisher:
    """Issues the checkpoints of one log, each naming the one before it, and stores its tiles."""

    def __init__(
        self, directory: Path, signer: Signer, files: FileLayer, found: Survey, history_fd: int
    ) -> None:
        """Goes on from what `found` says; `history_fd` is `checkpoints`, open for appending."""
        self.failure: OSError | None = None
        self.listeners: list[Callable[[Published], None]] = []
        self.published: Published | None = None
        self._directory, self._signer, self._files = directory, signer, files
        self._tiles, self._history_fd = found.tiles if found.has_tiles else None, history_fd
        self._previous = found.last.digest if found.last else None
        self._lock = threading.Lock()
        if found.last is not None:
            self.published = self._told(found.last.checkpoint, found.last.data)

    def issue(self, leaves: Sequence[bytes], size: int, root: bytes, *, sealed: bool) -> None:
        """Asks for the checkpoint of `size` records with `root`; `leaves` are the new ones."""
        self._files.later(lambda: self._run(leaves, size, root, sealed))

    def settle(self) -> None:
        """Waits for what was asked for. Raises OSError when that failed."""
        self._files.settle()
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        """Nothing more is written. A write that hangs keeps its file."""
        self.failure = self.failure or OSError(errno.ESHUTDOWN, "the log is closed")
        if self._lock.acquire(timeout=0.1):
            fd, self._history_fd = self._history_fd, -1
            if fd >= 0:
                self._files.close(fd)
            self._lock.release()

    def consistency(self, old: int, new: int) -> list[bytes]:
        """The proof that this log's tree of `old` records begins its tree of `new`.

        `new` is at most the size published. Raises BadInput for other sizes, RecordFailure for a
        tile that cannot be read.
        """
        with self._lock:
            if self._tiles is None:
                raise RecordFailure("a log of format 1 has no tiles", where=self._directory)
            return consistency_proof(node_in(self._tile), old, new)

    def _tile(self, level: int, index: int) -> bytes:
        kept = self._tiles.last(level, index) if self._tiles is not None else b""
        return kept or read_limited(self._directory / tile_path(level, index), TILE_BYTES)

    def _run(self, leaves: Sequence[bytes], size: int, root: bytes, sealed: bool) -> None:
        with self._lock:
            if self.failure is not None:
                return
            try:
                published = self._publish(leaves, size, root, sealed)
            except Exception as error:  # whatever it is: a log without its checkpoints failed
                why = f"{type(error).__name__}: {error}"
                self.failure = error if isinstance(error, OSError) else OSError(errno.EIO, why)
                return
            self.published = published
        for listener in list(self.listeners):
            with suppress(Exception):  # who listens cannot stop a log
                listener(published)

    def _publish(
        self, leaves: Sequence[bytes], size: int, root: bytes, sealed: bool
    ) -> Published:
        """Signs the durable tree: first into the history, then tiles, then the last checkpoint."""
        origin = self._signer.verifier.name
        checkpoint = Checkpoint(origin, size, root, self._previous, sealed)
        note = self._signer.sign(checkpoint.text()).render()
        write_all(self._files, self._history_fd, note + b"\n")
        self._files.sync(self._history_fd)
        self._previous = hashlib.sha256(note).digest()
        self._store_tiles(leaves, sealed=sealed)
        self._files.replace(self._directory / LAST, note)
        return self._told(checkpoint, note)

    def _store_tiles(self, leaves: Sequence[bytes], *, sealed: bool) -> None:
        tiles = self._tiles
        if tiles is None:
            return
        for leaf in leaves:
            tiles.push(leaf)
        for level, index, data in (*tiles.take(), *(tiles.partial() if sealed else ())):
            store_tile(self._directory, self._files, level, index, data)

    def _told(self, checkpoint: Checkpoint, note: bytes) -> Published:
        return Published(
            self._directory, checkpoint.origin, checkpoint.size, checkpoint.root, note,
            checkpoint.sealed,
        )  # fmt: skip
