"""The writer of a log: one thread, records in order, durable before they are acknowledged.

A module because it is the only code that adds to a log. It never retries: after a failed or short
write, or a failed sync, what the disk holds is unknown, so the log is poisoned and the caller goes
to Hold; taking it up again (`open`) reads and checks everything anew.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from controller.core.clock import NS_PER_S, Stamp
from controller.core.errors import BadInput, BrokenInvariant, RecordFailure
from controller.core.events import Event
from controller.core.quantity import decimal_text
from controller.record import history
from controller.record.checkpoints import HISTORY, LAST
from controller.record.entry import Context, read_records
from controller.record.files import DurableFiles, FileLayer, write_all
from controller.record.frame import SEGMENT_BYTES, pack, segment_files
from controller.record.keys import Keys, Signer
from controller.record.layout import (
    BLOB_BYTES_MAX,
    BLOBS,
    CERTIFICATE,
    CHUNKS,
    KINDS,
    SEGMENTS,
    VKEY,
    chunk_name,
    digest_name,
    refuse_used,
)
from controller.record.note import Checkpoint
from controller.record.recovery import Survey, cannot, repair, survey
from controller.record.tree import Tree, leaf_hash

CHECKPOINT_RECORDS = 100
CHECKPOINT_NS = NS_PER_S
CLOCK_STEP_NS = NS_PER_S  # [assumed] a smaller shift between two syncs is the clock's discipline
BUFFER_BYTES_MAX = 8 * 1024 * 1024


class BatchLog:
    """One log, open for writing. `append` is not durable, `sync` is."""

    def __init__(
        self,
        directory: Path,
        keys: Keys,
        signer: Signer,
        files: FileLayer,
        found: Survey,
        stamp: Stamp,
        handles: tuple[int, int],
        segment_bytes: int,
    ) -> None:
        """Used by `create` and `open`; `handles` are the last segment and `checkpoints`."""
        self.directory = directory
        self.durable_size = found.tree.size
        self._keys, self._signer, self._files = keys, signer, files
        self._tree, self._context = found.tree, found.context
        self._chunks, self._utc_ns = found.chunks, found.utc_ns
        self._segment, self._segment_fill = found.segment, found.segment_bytes
        self._segment_limit = segment_bytes
        self._segment_fd, self._history_fd = handles
        self._previous = found.last.digest if found.last else None
        self._covered = found.last.checkpoint.size if found.last else 0
        self._checkpoint_ns = stamp.mono_ns
        self._seen: Stamp | None = None
        self._buffer = bytearray()
        self._closed = ""

    @classmethod
    def create(
        cls,
        directory: Path,
        keys: Keys,
        stamp: Stamp,
        *,
        kind: str = "batch",
        purpose: str,
        files: FileLayer | None = None,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> BatchLog:
        """A new log with record 0 (`log.opened`) and its first checkpoint, durable.

        The first segment is written last: until it is there the directory is no log, and a create
        that was interrupted can be repeated. Raises BadInput if there is a log already or `kind`
        is unknown, RecordFailure if the directory cannot be written.
        """
        files = files or DurableFiles()
        if kind not in KINDS:
            raise BadInput(f"a log is of kind {' or '.join(KINDS)}, not {kind!r}")
        try:
            refuse_used(directory)
        except OSError as error:
            raise cannot(directory, "the log cannot be made", error) from error
        signer, certificate = keys.issue(f"{kind} {purpose}")
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
        return cls._attach(directory, keys, stamp, files, segment_bytes)

    @classmethod
    def open(
        cls,
        directory: Path,
        keys: Keys,
        stamp: Stamp,
        *,
        files: FileLayer | None = None,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> BatchLog:
        """Takes a log up again, cutting and recording an invalid tail if there is one.

        Raises RecordFailure, and touches nothing, if the log is sealed, of another format, written
        by another process, or damaged anywhere but in its tail.
        """
        return cls._attach(directory, keys, stamp, files or DurableFiles(), segment_bytes)

    @classmethod
    def open_to_read(
        cls, directory: Path, keys: Keys, stamp: Stamp, why: str, files: FileLayer
    ) -> BatchLog:
        """A log that `open` found no space for, as it stands: it takes nothing until it is opened.

        Raises RecordFailure for one that is damaged anywhere but in its tail.
        """
        try:
            found = survey(directory)
        except OSError as error:
            raise cannot(directory, "the log cannot be read", error) from error
        signer = keys.recall(found.identity.log, f"{found.kind} {found.purpose}")
        log = cls(directory, keys, signer, files, found, stamp, (-1, -1), SEGMENT_BYTES)
        log._closed = f"takes nothing: {why}"
        return log

    @classmethod
    def _attach(
        cls, directory: Path, keys: Keys, stamp: Stamp, files: FileLayer, segment_bytes: int
    ) -> BatchLog:
        history_fd = -1
        try:
            if not (directory / HISTORY).is_file():
                raise RecordFailure("is not a log: it has no checkpoints", where=directory)
            history_fd = files.open_append(directory / HISTORY)
            found = survey(directory)
            if found.sealed:
                if found.last is not None and found.last_is_stale:
                    files.replace(directory / LAST, found.last.data)
                keys.destroy(found.identity.log)
                raise RecordFailure(
                    "the log is sealed", where=directory, means="Nothing can be added to it."
                )
            signer = keys.recall(found.identity.log, f"{found.kind} {found.purpose}")
            pieces = repair(directory, found, files)
            segment = directory / SEGMENTS / f"{found.segment:08d}.seg"
            segment_fd = files.open_append(segment)
        except OSError as error:
            _close(files, history_fd)
            raise cannot(directory, "the log cannot be opened", error) from error
        except RecordFailure:
            _close(files, history_fd)
            raise
        handles = (segment_fd, history_fd)
        log = cls(directory, keys, signer, files, found, stamp, handles, segment_bytes)
        for size, digest in pieces:
            event = Event("log.recovered", stamp, data={"torn_bytes": size, "sha256": digest})
            log.append(event)
        log.checkpoint(stamp)
        return log

    @property
    def size(self) -> int:
        """Records appended so far, durable or not."""
        return self._tree.size

    @property
    def root_hex(self) -> str:
        """The root over all appended records."""
        return self._tree.root().hex()

    def append(self, event: Event) -> int:
        """Takes a record and returns its number; durable after the next `sync`.

        Raises BadInput for a record that cannot be stored (nothing changes) and RecordFailure if
        the log is closed or has failed, or if too much waits for a sync.
        """
        if self._closed:
            raise self._refusal()
        payload = self._context.encode(event)
        if len(self._buffer) > BUFFER_BYTES_MAX:
            raise RecordFailure(
                f"more than {BUFFER_BYTES_MAX} bytes wait for a sync", where=self.directory
            )
        seq = self._tree.size
        self._buffer += pack(seq, payload)
        self._tree.push(leaf_hash(payload))
        return seq

    def sync(self, stamp: Stamp) -> None:
        """Makes every appended record durable, and issues a checkpoint when one is due.

        Due: 100 records since the last one, or one second (of `stamp.mono_ns`) with news. Raises
        RecordFailure on any failed or short write or sync; the log is then poisoned.
        """
        self._watch_clock(stamp)
        self._flush()
        news = self.durable_size - self._covered
        waited = stamp.mono_ns - self._checkpoint_ns
        if news >= CHECKPOINT_RECORDS or (news and waited >= CHECKPOINT_NS):
            self._issue(stamp, sealed=False)

    def checkpoint(self, stamp: Stamp) -> None:
        """Syncs, and issues a checkpoint at once if there is anything new to cover."""
        self._watch_clock(stamp)
        self._flush()
        if self.durable_size > self._covered:
            self._issue(stamp, sealed=False)

    def seal(self, stamp: Stamp) -> None:
        """Finishes the log: last checkpoint, marked as such; key destroyed; files read-only."""
        self._watch_clock(stamp)
        self._flush()
        self._issue(stamp, sealed=True)
        self.close()
        self._closed = "is sealed"
        self._signer.forget()
        self._keys.destroy(self._signer.verifier)
        try:
            paths = [self.directory / name for name in (LAST, HISTORY, VKEY, CERTIFICATE)]
            for path in (*paths, *segment_files(self.directory)):
                self._files.protect(path)
        except OSError as error:
            what = "the sealed log cannot be made read-only"
            raise cannot(self.directory, what, error) from error

    def close(self) -> None:
        """Lets go of the files; what was not synced is not written. A log may stay unsealed."""
        if not self._closed:
            self._closed = "is closed"
            _close(self._files, self._segment_fd, self._history_fd)

    def records(self, start: int = 0) -> Iterator[dict[str, Any]]:
        """The durable records from number `start`, as `entry.read_records` gives them."""
        durable = max(self.durable_size - start, 0)  # what a failed write left is not looked at
        return islice(read_records(self.directory, start), durable)

    def store_chunk(self, data: bytes, stamp: Stamp, source: str = "") -> int:
        """Stores an encoded history chunk durably and appends its `history.chunk` record.

        `source` names the last entry of field's ring that is in it.
        Raises RecordFailure if `data` is not a chunk, or if the disk fails (poisoned).
        """
        head = history.summary(data)
        name = chunk_name(self._chunks)
        self._store(name, data)
        self._chunks += 1
        fields = {
            "first_scan": head.first_scan,
            "last_scan": head.last_scan,
            "rows": head.rows,
            "sha256": hashlib.sha256(data).hexdigest(),
            "file": name,
        }
        return self.append(Event("history.chunk", stamp, data=fields, source=source))

    def store_blob(self, name: str, data: bytes, stamp: Stamp) -> int:
        """Stores bytes durably under their digest and appends the `blob.stored` record.

        Raises BadInput for more than 64 MiB, RecordFailure if the disk fails (poisoned).
        """
        if len(data) > BLOB_BYTES_MAX:
            raise BadInput(f"{len(data)} bytes, {BLOB_BYTES_MAX} are allowed", where=name)
        file = digest_name(BLOBS, data)
        path = self.directory / file
        if not path.exists():
            self._store(file, data)
        elif path.read_bytes() != data:
            raise self._poison(OSError(errno.EIO, f"{file} does not hold what its name says"))
        fields = {
            "name": name,
            "bytes": len(data),
            "sha256": file.rpartition("-")[2],
            "file": file,
        }
        return self.append(Event("blob.stored", stamp, data=fields))

    def _store(self, name: str, data: bytes) -> None:
        if self._closed:
            raise self._refusal()
        try:
            self._files.store(self.directory / name, data)
        except OSError as error:
            raise self._poison(error) from error

    def _flush(self) -> None:
        if self._closed:
            raise self._refusal()
        if not self._buffer:
            return
        try:
            if self._segment_fill >= self._segment_limit:
                self._next_segment()
            write_all(self._files, self._segment_fd, bytes(self._buffer))
            self._files.sync(self._segment_fd)
        except OSError as error:
            raise self._poison(error) from error
        self._segment_fill += len(self._buffer)
        self._buffer.clear()
        self.durable_size = self._tree.size

    def _next_segment(self) -> None:
        path = self.directory / SEGMENTS / f"{self._segment + 1:08d}.seg"
        fd = self._files.open_append(path)
        self._files.close(self._segment_fd)
        self._segment_fd, self._segment_fill = fd, 0
        self._segment += 1

    def _issue(self, stamp: Stamp, *, sealed: bool) -> None:
        """Signs the durable tree: first into the history, then as the last checkpoint."""
        origin = self._signer.verifier.name
        found = Checkpoint(origin, self.durable_size, self._tree.root(), self._previous, sealed)
        note = self._signer.sign(found.text()).render()
        try:
            write_all(self._files, self._history_fd, note + b"\n")
            self._files.sync(self._history_fd)
            self._files.replace(self.directory / LAST, note)
        except OSError as error:
            raise self._poison(error) from error
        self._previous = hashlib.sha256(note).digest()
        self._covered, self._checkpoint_ns = found.size, stamp.mono_ns

    def _watch_clock(self, stamp: Stamp) -> None:
        """Records a step of the wall clock. Raises BrokenInvariant if `mono_ns` went back."""
        if self._closed:
            raise self._refusal()
        seen, shift = self._seen, 0
        if seen is not None and seen.boot_id == stamp.boot_id:
            if stamp.mono_ns < seen.mono_ns:
                raise BrokenInvariant(
                    f"the monotonic clock went back from {seen.mono_ns} to {stamp.mono_ns} ns",
                    where=self.directory,
                    means="The order of records cannot be trusted. Nothing was written.",
                )
            shift = (stamp.utc_ns - seen.utc_ns) - (stamp.boottime_ns - seen.boottime_ns)
        elif stamp.utc_ns < self._utc_ns:
            shift = stamp.utc_ns - self._utc_ns
        self._seen, self._utc_ns = stamp, stamp.utc_ns
        if abs(shift) >= CLOCK_STEP_NS:
            seconds = decimal_text(shift / NS_PER_S)
            self.append(Event("clock.step", stamp, data={"seconds": seconds}))

    def _poison(self, error: OSError) -> RecordFailure:
        self.close()
        self._closed = f"failed: {error.strerror or error}"
        return self._refusal()

    def _refusal(self) -> RecordFailure:
        return RecordFailure(
            f"the log {self._closed}",
            where=self.directory,
            means=f"{self.durable_size} records are acknowledged, nothing after them.",
            do="If it failed, hold the unit, mend the disk and open the log again: it is read and "
            "checked anew. Nothing is retried.",
        )


def _close(files: FileLayer, *handles: int) -> None:
    for fd in handles:
        if fd >= 0:
            files.close(fd)
