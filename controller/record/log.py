"""The writer of a log: records in order, one write at a time, durable before acknowledged.

A module because it is the only code that adds to a log. It never retries: after a failed or short
write, or a failed sync, what the disk holds is unknown, so the log is poisoned and the caller goes
to Hold; taking it up again (`open`) reads and checks everything anew. Whoever waits for a record
shares one write and one sync with all who wait at that moment.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from controller.core.clock import NS_PER_S, Stamp
from controller.core.errors import RecordFailure
from controller.core.events import EVENTS, Event, Severity
from controller.core.quantity import decimal_text
from controller.record import history
from controller.record.clockwatch import ClockWatch
from controller.record.ends import protect, take_up, write_new
from controller.record.entry import read_records
from controller.record.files import DurableFiles, FileLayer
from controller.record.frame import SEGMENT_BYTES, checksum, pack
from controller.record.keys import Keys, Signer
from controller.record.namedfiles import NamedFiles
from controller.record.publish import Published, Publisher
from controller.record.recovery import (
    Survey,
    cannot,
    survey,
)
from controller.record.segments import SegmentWriter
from controller.record.tree import Tree, leaf_hash
from controller.record.turns import Turns

CHECKPOINT_RECORDS = 100
CHECKPOINT_NS = NS_PER_S
BUFFER_BYTES_MAX = 8 * 1024 * 1024
# What a checkpoint is issued for at once, beside every alarm.
TELLING = frozenset(("signature.given", "procedure.state", "step.started", "alarm.state"))
_ALARMS = (Severity.ALARM, Severity.CRITICAL)
URGENT = TELLING | {name for name, kind in EVENTS.items() if kind.severity in _ALARMS}


class BatchLog:
    """One log, open for writing. `append` is not durable, `sync` is."""

    def __init__(
        self, directory: Path, keys: Keys, signer: Signer, files: FileLayer, found: Survey,
        stamp: Stamp, segment: SegmentWriter | None = None, history_fd: int = -1,
    ) -> None:  # fmt: skip
        """Used by `create` and `open`; `history_fd` is `checkpoints`. Without files: only read."""
        self.directory = directory
        self.durable_size = found.tree.size
        self._keys, self._signer, self._files = keys, signer, files
        self._tree, self._context = found.tree, found.context
        self._named = NamedFiles(directory, files, found.chunks)
        self._clock = ClockWatch(directory, found.utc_ns)
        self._steps: list[Event] = []
        self._segment = segment
        self._publisher = Publisher(directory, signer, files, found, history_fd)
        self._asked = found.last.checkpoint.size if found.last else 0
        self._checkpoint_ns = stamp.mono_ns
        self._buffer, self._leaves = bytearray(), list[bytes]()
        self._chain = 0  # the CRC-32 of the last frame in the buffer
        self._urgent = False
        self._closed = ""
        self._appending = threading.Lock()  # buffer, tree, context
        self._writing = threading.RLock()  # the files
        self._turns = Turns()

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
        write_new(directory, keys, stamp, kind, purpose, files)
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
        log = cls(directory, keys, signer, files, found, stamp)
        log._closed = f"takes nothing: {why}"
        return log

    @classmethod
    def _attach(
        cls, directory: Path, keys: Keys, stamp: Stamp, files: FileLayer, segment_bytes: int
    ) -> BatchLog:
        opened = take_up(directory, keys, files, segment_bytes)
        log = cls(
            directory, keys, opened.signer, files, opened.found, stamp, opened.segment,
            opened.history_fd,
        )  # fmt: skip
        for size, digest in opened.pieces:
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

    @property
    def published(self) -> Published | None:
        """The last checkpoint that is durable."""
        return self._publisher.published

    @property
    def listeners(self) -> list[Callable[[Published], None]]:
        """Who is told of every checkpoint once it is durable, by another thread; must not block."""
        return self._publisher.listeners

    def consistency(self, old: int, new: int) -> list[bytes]:
        """RFC 6962 proof that the log of `old` records begins that of `new` (at most published).

        Raises BadInput for other sizes, RecordFailure if the tiles cannot be read.
        """
        return self._publisher.consistency(old, new)

    def append(self, event: Event) -> int:
        """Takes a record and returns its number; durable after the next `sync`. From any thread.

        Raises BadInput for a record that cannot be stored (nothing changes) and RecordFailure if
        the log is closed or has failed, or if too much waits for a sync.
        """
        with self._appending:
            if self._closed:
                raise self._refusal()
            if len(self._buffer) > BUFFER_BYTES_MAX:
                raise RecordFailure(
                    f"more than {BUFFER_BYTES_MAX} bytes wait for a sync", where=self.directory
                )
            payload = self._context.encode(event)
            leaf, seq = leaf_hash(payload), self._tree.size
            chained = self._chain if self._context.version > 1 else 0
            self._buffer += pack(seq, payload, chained)
            self._chain = checksum(seq, payload, chained)
            self._tree.push(leaf)
            self._leaves.append(leaf)
            self._urgent = self._urgent or event.name in URGENT
        self._turns.came(seq + 1 - self.durable_size)
        return seq

    def commit(self, event: Event, stamp: Stamp) -> int:
        """Appends a record and returns its number once it is durable. From any thread.

        Of several threads that wait, one writes and syncs for all. Raises as `append` and `sync`.
        """
        seq = self.append(event)
        while self._turns.lead(lambda: self.durable_size <= seq):
            before = self.durable_size
            try:
                self._turns.gather(lambda: self._tree.size - self.durable_size)
                with self._writing:
                    if self.durable_size <= seq:
                        if not self._clock.is_past(stamp):
                            self._watch_clock(stamp)
                        self._write_out(stamp)
            finally:
                self._turns.done(self.durable_size - before)
        return seq

    def sync(self, stamp: Stamp) -> None:
        """Makes every appended record durable, and has a checkpoint issued when one is due.

        Due: 100 records since the last one, one second (of `stamp.mono_ns`) with news, or a record
        of `URGENT`. Raises RecordFailure on any failed or short write or sync, also of a checkpoint
        asked for before; the log is then poisoned.
        """
        with self._writing:
            self._watch_clock(stamp)
            self._write_out(stamp)

    def clock_steps(self, stamp: Stamp) -> list[Event]:
        """Looks at the clock; the steps this log recorded and did not tell yet."""
        with self._writing:
            self._watch_clock(stamp)
            steps, self._steps = self._steps, []
            return steps

    def checkpoint(self, stamp: Stamp) -> None:
        """Syncs, and returns when a checkpoint covers every record."""
        with self._writing:
            self._watch_clock(stamp)
            self._issue(stamp, self._flush())
            self._settle()

    def seal(self, stamp: Stamp) -> None:
        """Finishes the log: last checkpoint, marked as such; key destroyed; files read-only."""
        with self._writing:
            self._watch_clock(stamp)
            tree = self._flush()
            self._finish_segment()
            self._issue(stamp, tree, sealed=True)
            self._settle()
            self.close()
            self._closed = "is sealed"
            self._signer.forget()
            self._keys.destroy(self._signer.verifier)
            protect(self.directory, self._files)

    def close(self) -> None:
        """Lets go of the files; what was not synced is not written. A log may stay unsealed."""
        with self._writing:
            if not self._closed:
                with suppress(OSError, RecordFailure):  # it says so at the next opening
                    self._publisher.settle()
                    self._finish_segment()
                self._let_go("is closed")

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
        fields = {"first_scan": head.first_scan, "last_scan": head.last_scan, "rows": head.rows}
        fields |= self._stored(lambda: self._named.chunk(data))
        return self.append(Event("history.chunk", stamp, data=fields, source=source))

    def store_tags(self, data: bytes, *, begin: str, end: str, rows: int, stamp: Stamp) -> int:
        """Stores an encoded chunk of tags durably and appends its `history.tags` record.

        `begin` and `end` are the instants (RFC 3339) it covers, `rows` the values it holds.
        """
        fields = {"from": begin, "to": end, "rows": rows}
        fields |= self._stored(lambda: self._named.chunk(data))
        return self.append(Event("history.tags", stamp, data=fields))

    def store_blob(self, name: str, data: bytes, stamp: Stamp) -> int:
        """Stores bytes durably under their digest and appends the `blob.stored` record.

        Raises BadInput for more than 64 MiB, RecordFailure if the disk fails (poisoned).
        """
        fields = {"name": name, "bytes": len(data)}
        fields |= self._stored(lambda: self._named.blob(name, data))
        return self.append(Event("blob.stored", stamp, data=fields))

    def _stored(self, store: Callable[[], dict[str, str]]) -> dict[str, Any]:
        if self._closed:
            raise self._refusal()
        try:
            return dict(store())
        except OSError as error:
            raise self._poison(error) from error

    def _write_out(self, stamp: Stamp) -> None:
        """Makes what was appended durable, and asks for a checkpoint when one is due."""
        tree = self._flush()
        news, waited = tree.size - self._asked, stamp.mono_ns - self._checkpoint_ns
        due = self._urgent or news >= CHECKPOINT_RECORDS or waited >= CHECKPOINT_NS
        if news and due:
            self._issue(stamp, tree)

    def _flush(self) -> Tree:
        """One write and one sync; the tree of what is durable then."""
        if self._closed:
            raise self._refusal()
        self._check_published()
        with self._appending:
            data, tree = bytes(self._buffer), self._tree.copy()
            self._buffer.clear()
            self._chain = 0
        if data and self._segment is not None:
            try:
                self._segment.write(data)
            except OSError as error:
                raise self._poison(error) from error
            self.durable_size = tree.size
        return tree

    def _issue(self, stamp: Stamp, tree: Tree, *, sealed: bool = False) -> None:
        """Asks for the checkpoint of a durable tree, unless there is one that is not the last."""
        new = tree.size - self._asked
        if not new and not sealed:
            return
        with self._appending:
            leaves, self._leaves = self._leaves[:new], self._leaves[new:]
            self._urgent = self._urgent and bool(self._leaves)
        self._asked, self._checkpoint_ns = tree.size, stamp.mono_ns
        try:
            self._publisher.issue(leaves, tree.size, tree.root(), sealed=sealed)
        except OSError as error:
            raise self._poison(error) from error
        self._check_published()

    def _check_published(self) -> None:
        failure = self._publisher.failure
        if failure is not None:
            raise self._poison(failure) from failure

    def _finish_segment(self) -> None:
        if self._segment is not None:
            try:
                self._segment.finish()
            except OSError as error:
                raise self._poison(error) from error

    def _settle(self) -> None:
        """Waits for the checkpoints asked for."""
        try:
            self._publisher.settle()
        except OSError as error:
            raise self._poison(error) from error

    def _watch_clock(self, stamp: Stamp) -> None:
        """Records a step of the wall clock. Raises BrokenInvariant if `mono_ns` went back."""
        if self._closed:
            raise self._refusal()
        step_ns = self._clock.step_ns(stamp)
        if step_ns:
            seconds = decimal_text(step_ns / NS_PER_S)
            step = Event("clock.step", stamp, data={"seconds": seconds})
            self.append(step)
            self._steps.append(step)

    def _poison(self, error: OSError) -> RecordFailure:
        self._let_go(f"failed: {error.strerror or error}")
        return self._refusal()

    def _let_go(self, why: str) -> None:
        """Takes nothing more; a call that hangs in the disk keeps its file."""
        with self._appending:
            self._closed = why
        self._publisher.stop()
        if self._segment is not None:
            self._segment.close()

    def _refusal(self) -> RecordFailure:
        return RecordFailure(
            f"the log {self._closed}",
            where=self.directory,
            means=f"{self.durable_size} records are acknowledged, nothing after them.",
            do="If it failed, hold the unit, mend the disk and open the log again: it is read and "
            "checked anew. Nothing is retried.",
        )
