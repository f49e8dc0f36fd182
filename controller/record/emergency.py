"""The emergency area: where records go while the log is down, and how they come into it again.

A module because protective actions never wait for the log, and still no record of them may be
lost: a file whose blocks were written in advance takes them, so that a full disk cannot refuse.
Its frames are those of a segment; the sequence number is the area's number and a count, so that
what an earlier use left behind it is never read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from controller.core.clock import NS_PER_MS, Stamp
from controller.core.errors import CellwrightError
from controller.core.events import Event
from controller.record.entry import Context, event_of, stamp_of
from controller.record.files import FileLayer, write_all
from controller.record.frame import HEADER_BYTES, decode, pack, payload_at
from controller.record.log import BatchLog

AREA_BYTES = 2 * 1024 * 1024
RECORDS_MAX = 4_096
STATION, BATCH = b"S", b"B"
_COUNT_BITS = 20
_RING = "emergency-"


@dataclass(frozen=True, slots=True)
class Left:
    """What an area holds: its number, since when and why the log was down, and the records."""

    number: int
    begin: str
    why: str
    records: list[tuple[bytes, Event]]


class Emergency:
    """The area of one station. `kept` are the records of this supervisor that are in no log."""

    def __init__(self, path: Path, files: FileLayer) -> None:
        """Makes the area's file if there is none. Without one, records are in memory only."""
        self.path = path
        self.kept: list[Event] = []
        self._files = files
        self._fd, self._number, self._count, self._at = -1, 0, 0, 0
        self._begun = False
        self._context = Context()
        with suppress(OSError):
            if not path.exists() or path.stat().st_size < AREA_BYTES:
                files.make_dir(path.parent)
                files.remove(path)
                files.store(path, bytes(AREA_BYTES))

    def keep(self, event: Event, where: bytes, why: str) -> None:
        """Takes a record for the log `where`; `why` is told when the log comes back.

        At most 4,096: the last one says that there were more.
        """
        if len(self.kept) > RECORDS_MAX:
            return
        if len(self.kept) == RECORDS_MAX:
            event = Event("emergency.full", event.stamp, data={"kept": RECORDS_MAX})
        self.kept.append(event)
        with suppress(OSError, CellwrightError):
            if not self._begun:
                self._begun = True
                self._begin(event.stamp, why)
            if self._fd >= 0:
                self._write(where + self._context.encode(event))

    def sync(self) -> None:
        """Makes what was taken durable, as far as this disk still does."""
        if self._fd >= 0:
            try:
                self._files.sync(self._fd)
            except OSError:
                self._lose()

    def left(self) -> Left | None:
        """What an earlier supervisor left here; None if nothing."""
        try:
            data = self.path.read_bytes()[:AREA_BYTES]
        except OSError:
            return None
        number = int.from_bytes(data[8:16], "little") >> _COUNT_BITS
        context, records, at = Context(), list[tuple[bytes, Event]](), 0
        header: dict[str, str] = {}
        for count in range(RECORDS_MAX + 2):
            payload = payload_at(data, at, number << _COUNT_BITS | count)
            if isinstance(payload, str):
                break
            at += HEADER_BYTES + len(payload)
            if count == 0:
                header = json.loads(payload)
            else:
                records.append((payload[:1], _event(context.fill(decode(payload[1:])))))
        self._at, self._number, self._count = at, number if records else 0, len(records) + 1
        return Left(number, header["begin"], header["why"], records) if records else None

    def wipe(self) -> None:
        """Forgets what was left, durably. Raises OSError."""
        fd = self._files.open_within(self.path)
        try:
            write_all(self._files, fd, bytes(HEADER_BYTES))
            self._files.sync(fd)
        finally:
            self._files.close(fd)
        self._number = self._count = self._at = 0

    def _begin(self, stamp: Stamp, why: str) -> None:
        """Opens the area; one that was not merged yet is gone on with."""
        found = self.left()
        self._fd = self._files.open_within(self.path, self._at if found else 0)
        if found is None:
            self._number, self._count, self._at = stamp.utc_ns // NS_PER_MS, 0, 0
            self._write(json.dumps({"begin": stamp.rfc3339(), "why": why[:500]}).encode())

    def _write(self, payload: bytes) -> None:
        frame = pack(self._number << _COUNT_BITS | self._count, payload)
        if self._at + len(frame) > AREA_BYTES:
            self._lose()
            return
        try:
            write_all(self._files, self._fd, frame)
        except OSError:
            self._lose()
            return
        self._at, self._count = self._at + len(frame), self._count + 1

    def _lose(self) -> None:
        fd, self._fd = self._fd, -1
        with suppress(OSError):
            self._files.close(fd)


def _event(record: dict[str, Any]) -> Event:
    """The event of a record, also of one that another version of this program wrote."""
    try:
        return event_of(record)
    except ValueError as error:
        data = {"event": str(record["event"])[:200], "why": str(error)[:500]}
        source = str(record.get("source", ""))
        return Event("record.replaced", stamp_of(record), data=data, source=source)


def merge(
    log: BatchLog, found: Left, where: bytes, recorded: Mapping[tuple[int, str], int], stamp: Stamp
) -> None:
    """Appends what `found` holds for the log `where`, then `log.gap`; durable on return.

    `recorded` is what the log holds already, by generation and ring: a merge that was interrupted
    is gone on with. Raises RecordFailure.
    """
    ring = f"{_RING}{found.number}"
    taken, end = 0, found.begin
    for number, (which, event) in enumerate(found.records, 1):
        if which != where:
            continue
        source = event.source or f"0.{ring}.{number}"
        generation, _, rest = source.partition(".")
        name, _, sequence = rest.rpartition(".")
        if int(sequence) > recorded.get((int(generation), name), -1):
            log.append(replace(event, source=source))
        taken, end = taken + 1, event.stamp.rfc3339()
    data = {"begin": found.begin, "end": end, "records": taken, "why": found.why}
    log.append(Event("log.gap", stamp, data=data))
    log.checkpoint(stamp)
