"""The emergency area: where records go while the log is down, and how they come into it again.

A module because protective actions never wait for the log, and still no record of them may be
lost: a file whose blocks were written in advance takes them, so that a full disk cannot refuse.
Its frames are those of a segment; the sequence number is the area's number and a count, so that
what an earlier use left behind it is never read.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from controller.core.clock import NS_PER_MS, Stamp
from controller.core.errors import CellwrightError
from controller.core.events import Event
from controller.record.entry import Context, event_of, read_records, stamp_of
from controller.record.files import SECRET_MODE, FileLayer, write_all
from controller.record.frame import HEADER_BYTES, decode, open_plain, pack, payload_at
from controller.record.layout import NAMING
from controller.record.log import BatchLog

AREA_BYTES = 2 * 1024 * 1024
LAST_BYTES = 4_096  # kept free for the record that says that there were more
RECORDS_MAX = 4_096
STATION, BATCH = b"S", b"B"
_COUNT_BITS = 20
_RING = "emergency-"


@dataclass(frozen=True, slots=True)
class Left:
    """What an area holds: its number, since when and why the log was down, and the records.

    `written`: of the records with these numbers, from 1, the log that failed was given each under
    the number here. Perhaps it has them.
    """

    number: int
    begin: str
    why: str
    records: list[tuple[bytes, Event]]
    written: dict[int, int]


class Emergency:
    """The area of one station. `kept` are the records of this supervisor that are in no log."""

    def __init__(self, path: Path, files: FileLayer) -> None:
        """Makes the area's file if there is none, and reads it: while a log is down nothing is.

        Without a file, and with one that cannot be read, records are in memory only.
        """
        self.path = path
        self.kept: list[Event] = []
        self._files = files
        self._fd, self._number, self._count, self._at = -1, 0, 0, 0
        self._begun = self._full = self._unknown = False
        self._frames: list[bytes] = []  # of this supervisor, as they lie in the file
        self._from = 0  # where
        self._guard = threading.Lock()  # a frame and where it goes
        self._context = Context()
        self.trouble = ""  # why what was found here is in no log
        self._left = self._found()
        with suppress(OSError):
            if not self._unknown and (not path.exists() or path.stat().st_size < AREA_BYTES):
                files.make_dir(path.parent)
                files.remove(path)
                files.store(path, bytes(AREA_BYTES), SECRET_MODE)

    def keep(self, event: Event, where: bytes, why: str, number: int = -1) -> None:
        """Takes a record for the log `where`; `why` is told when the log comes back.

        `number` is the record's where the log took it and failed before it was durable. At most
        4,096, and what fits: the last one says that there were more.
        """
        if self._full:
            return
        if not self._begun:
            self._begun = True
            if not self._unknown:
                self._begin(event.stamp, why)
        payload = self._payload(event, where, number)
        room = AREA_BYTES - LAST_BYTES - HEADER_BYTES - len(payload)
        if max(len(self.kept), self._count - 1) >= RECORDS_MAX or self._at > room:
            self._full, self._context = True, Context()
            event = Event("emergency.full", event.stamp, data={"kept": len(self.kept)})
            payload = self._payload(event, where)
        self.kept.append(event)
        if payload and not self._unknown:
            self._write(payload)

    def save(self) -> None:
        """Once the disk is back: what it did not take while it was away. From any thread; waits for
        the disk. Raises OSError."""
        if self._fd >= 0 or not self._frames:
            return
        files, fd, done = self._files.fresh(), -1, 0
        try:
            fd = files.open_within(self.path, self._from)
            while True:
                data = b"".join(self._frames[done:])
                done += len(self._frames[done:])
                write_all(files, fd, data)
                files.sync(fd)
                with self._guard:  # the next frame goes to the file itself
                    if done == len(self._frames):
                        self._files, self._fd = files, fd
                        return
        except OSError:
            if fd >= 0:
                files.close(fd)
            raise

    def sync(self) -> None:
        """Makes what was taken durable, as far as this disk still does."""
        if self._fd >= 0:
            try:
                self._files.sync(self._fd)
            except OSError:
                self._lose()

    def left(self) -> Left | None:
        """What an earlier supervisor left here, as this one found it; None if nothing."""
        return self._left

    def _found(self) -> Left | None:
        """What the area holds. One that says what no supervisor writes is put aside, as evidence;
        one that cannot be read is left alone, and nothing is written over it."""
        try:
            if not os.path.lexists(self.path):
                return None
            data = _ours(self.path)
        except OSError as error:
            self._unknown = True
            self.trouble = f"it is not written to: {error.strerror}"
            return None
        try:
            return self._read(data)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            self._at = self._number = self._count = 0
            self._put_aside(data, f"{type(error).__name__}: {error}")
            return None

    def _put_aside(self, data: bytes, why: str) -> None:
        aside = self.path.with_name(f"{self.path.name}-{hashlib.sha256(data).hexdigest()[:16]}")
        self.trouble = f"no supervisor of this version wrote it, kept as {aside.name}: {why[:300]}"
        try:
            if not aside.exists():
                self._files.store(aside, data, SECRET_MODE)
            self._files.remove(self.path)
        except OSError:
            self._unknown = True

    def _read(self, data: bytes) -> Left | None:
        number = int.from_bytes(data[8:16], "little") >> _COUNT_BITS
        context, records, at = Context(), list[tuple[bytes, Event]](), 0
        header: dict[str, str] = {}
        written: dict[int, int] = {}
        for count in range(RECORDS_MAX + 2):
            payload = payload_at(data, at, number << _COUNT_BITS | count)
            if isinstance(payload, str):
                break
            at += HEADER_BYTES + len(payload)
            if count == 0:
                header = json.loads(payload)
            else:
                begin = payload.index(b"{")
                if begin > 1:
                    written[count] = int(payload[1:begin])
                records.append((payload[:1], _event(context.fill(decode(payload[begin:])))))
        if not records:
            return None
        self._at, self._number, self._count = at, number, len(records) + 1
        return Left(number, header["begin"], header["why"], records, written)

    def wipe(self) -> None:
        """Forgets what was left, durably. Raises OSError."""
        fd = self._files.open_within(self.path)
        try:
            write_all(self._files, fd, bytes(HEADER_BYTES))
            self._files.sync(fd)
        finally:
            self._files.close(fd)
        self._number = self._count = self._at = 0
        self._left = None

    def _begin(self, stamp: Stamp, why: str) -> None:
        """Opens the area; one that was not merged yet is gone on with."""
        self._from = self._at
        with suppress(OSError):
            self._fd = self._files.open_within(self.path, self._at)
        if self._left is None:
            self._number = stamp.utc_ns // NS_PER_MS
            self._write(json.dumps({"begin": stamp.rfc3339(), "why": why[:500]}).encode())

    def _payload(self, event: Event, where: bytes, number: int = -1) -> bytes:
        """The record as it is kept; empty for one that no log could take either."""
        with suppress(CellwrightError, ValueError):
            return where + (b"%d" % number if number >= 0 else b"") + self._context.encode(event)
        return b""

    def _write(self, payload: bytes) -> None:
        frame = pack(self._number << _COUNT_BITS | self._count, payload)
        self._at, self._count = self._at + len(frame), self._count + 1
        with self._guard:
            self._frames.append(frame)
            files, fd = self._files, self._fd
        if fd < 0:
            return
        try:
            write_all(files, fd, frame)
        except OSError:
            self._lose()

    def _lose(self) -> None:
        fd, self._fd = self._fd, -1
        with suppress(OSError):
            self._files.close(fd)


def _ours(path: Path) -> bytes:
    """The bytes of an area. What it holds will be signed, so OSError unless it is a plain file of
    this user's that nobody else can write."""
    with open_plain(path) as file:
        found = os.fstat(file.fileno())
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise PermissionError(errno.EPERM, "others can write it", str(path))
        return file.read(AREA_BYTES)


def _event(record: dict[str, Any]) -> Event:
    """The event of a record, also of one that another version of this program wrote. Those that a
    log makes by itself are none: they would name files it has not."""
    try:
        if record["event"] in (*NAMING, "log.opened"):
            raise ValueError("no supervisor keeps such a record")
        return event_of(record)
    except ValueError as error:
        data = {"event": str(record["event"])[:200], "why": str(error)[:500]}
        source = str(record.get("source", ""))
        return Event("record.replaced", stamp_of(record), data=data, source=source)


def merge(
    log: BatchLog, found: Left, where: bytes, recorded: Mapping[tuple[int, str], int],
    stamp: Stamp, failed: Path | None = None,
) -> None:  # fmt: skip
    """Appends what `found` holds for the log `where`, then `log.gap`; durable on return.

    `recorded` is what the log holds already, by generation and ring: a merge that was interrupted
    is gone on with. What the log that failed (`failed`, if it is another) has of its last records
    is not doubled. Raises RecordFailure.
    """
    ring = f"{_RING}{found.number}{'-batch' if where == BATCH else ''}"
    taken = 0
    came_through = _came_through(failed or log.directory, found, where)
    known = dict(recorded)
    for number, (which, event) in enumerate(found.records, 1):
        if which != where or number in came_through:
            continue
        source = event.source or f"0.{ring}.{number}"
        generation, _, rest = source.partition(".")
        name, _, sequence = rest.rpartition(".")
        key = int(generation), name
        if int(sequence) > known.get(key, -1):
            log.append(replace(event, source=source))
            known[key] = int(sequence)
        taken += 1
    end = stamp.rfc3339()
    data = {"begin": found.begin, "end": end, "records": taken, "why": found.why}
    log.append(Event("log.gap", stamp, data=data))
    log.checkpoint(stamp)


def _came_through(directory: Path, found: Left, where: bytes) -> set[int]:
    """Numbers of the records whose write reached the disk though it failed."""
    asked = {seq: n for n, seq in found.written.items() if found.records[n - 1][0] == where}
    if not asked:
        return set()
    came = set[int]()
    for record in read_records(directory, min(asked)):
        number = asked.get(record["seq"])
        if number is not None and _event(record) == found.records[number - 1][1]:
            came.add(number)
        if record["seq"] >= max(asked):
            break
    return came
